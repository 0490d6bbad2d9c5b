"""A FastAPI application with a login, without a secret that signs tokens: tokend has the keys."""

import logging
from contextlib import asynccontextmanager
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm

from tokend_client import LoginFailed, Logins, TokendUnavailable, Tokens, TooManyLogins

log = logging.getLogger("uvicorn.error")


@asynccontextmanager
async def lifespan(app: FastAPI):
    # Not at import: a gRPC channel belongs to the event loop that uses it.
    app.state.logins = Logins()
    app.state.tokens = Tokens()
    yield
    await app.state.logins.close()


app = FastAPI(lifespan=lifespan)
bearer_token = OAuth2PasswordBearer(tokenUrl="login")


@app.post("/login")
async def login(request: Request, form: Annotated[OAuth2PasswordRequestForm, Depends()]):
    try:
        token = await request.app.state.logins.token(form.username, form.password, form.scopes)
    except LoginFailed:
        raise HTTPException(401, "Wrong username or password", {"WWW-Authenticate": "Bearer"})
    except TooManyLogins as limit:
        raise HTTPException(429, "Too many logins", {"Retry-After": str(limit.retry_after)})
    except TokendUnavailable as problem:
        log.error("login: %s", problem)
        raise HTTPException(503, "Login is currently unavailable")
    return {"access_token": token, "token_type": "bearer"}


# Without `async`, so that FastAPI runs it on a thread: PyJWKClient blocks while it fetches keys.
def current_user(request: Request, token: Annotated[str, Depends(bearer_token)]) -> dict:
    try:
        return request.app.state.tokens.claims(token)
    except TokendUnavailable as problem:
        log.error("verify: %s", problem)
        raise HTTPException(503, "Token verification is currently unavailable")
    except jwt.PyJWTError:
        raise HTTPException(401, "Invalid token", {"WWW-Authenticate": 'Bearer error="invalid_token"'})


@app.get("/protected")
def protected(user: Annotated[dict, Depends(current_user)]):
    return {"user_id": user["sub"], "name": user.get("name"), "permissions": user.get("permissions", [])}
