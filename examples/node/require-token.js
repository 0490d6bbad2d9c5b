// Protects the unary methods of a service.
import grpc from "@grpc/grpc-js";

const { PERMISSION_DENIED, UNAUTHENTICATED } = grpc.status;

// Rejects each call without a valid token that has the scope of the method. A method without a scope in `scopes` is rejected.
export function requireToken(verify, scopes, methods) {
  const authorize = async (name, metadata) => {
    const values = metadata.get("authorization");
    const [, token] = (values.length === 1 && /^bearer ([^ ]+)$/i.exec(values[0])) || [];
    if (!token) throw { code: UNAUTHENTICATED, details: "one bearer token is required" };
    const caller = await verify(token);
    if (!caller.scopes.includes(scopes[name])) throw { code: PERMISSION_DENIED, details: `the token lacks the scope of ${name}` };
    return caller;
  };
  const protect = ([name, method]) => [
    name,
    async (call, callback) => {
      try {
        callback(null, await method(call.request, await authorize(name, call.metadata)));
      } catch (error) {
        callback(error);
      }
    },
  ];
  return Object.fromEntries(Object.entries(methods).map(protect));
}
