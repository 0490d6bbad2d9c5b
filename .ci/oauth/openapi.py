"""docs/openapi.yaml is valid, and the server serves each of its operations."""

import sys

import requests
import yaml
from openapi_spec_validator import validate

issuer = sys.argv[1]
with open("docs/openapi.yaml", encoding="utf-8") as file:
    document = yaml.safe_load(file)
validate(document)
operations = [(method, path) for path, methods in document["paths"].items() for method in methods]
for method, path in operations:
    response = requests.request(method, issuer + path, timeout=30)
    documented = document["paths"][path][method]["responses"]
    assert str(response.status_code) in documented, f"{method} {path}: {response.status_code} is not documented"
print(f"ok: openapi.yaml is valid; {len(operations)} operations are served")
