"""Checks rendered manifests: deploy_manifests.py PROGRAM FOLDER MANIFEST...

Each object must be valid for the strict schemas of Kubernetes. The configuration in the ConfigMap must pass `tokend config check`, with
the files that it names below FOLDER/root-NAME. Each port, volume and Secret key that an object refers to must exist.
"""

import base64
import os
import pathlib
import shutil
import subprocess
import sys

import kubernetes_validate
import yaml

VERSIONS = ["1.28", "1.32", "1.37"]
# Kinds of operators, which .ci/operator-types checks.
CUSTOM = {"Certificate", "ServiceMonitor", "PrometheusRule"}
IMAGE = {"TOKEND_GRPC_ADDR": "0.0.0.0:50051", "TOKEND_HTTP_ADDR": "0.0.0.0:8080", "TOKEND_STORE": "sqlite:/var/lib/tokend/tokend.db"}
SECRETS = {
    "store": "postgres://tokend:password@127.0.0.1/tokend",
    "sealing.key": base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("="),
}


def check_schemas(path, objects):
    for one in objects:
        if one["kind"] in CUSTOM:
            continue
        for version in VERSIONS:
            kubernetes_validate.validate(one, version, strict=True)
    kinds = {one["kind"] for one in objects} - CUSTOM
    print(f"ok: {path.name}: {len(kinds)} kinds valid for Kubernetes {', '.join(VERSIONS)}")


def check_references(objects, pod):
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    volumes = {volume["name"] for volume in pod["spec"]["volumes"]}
    claims = {claim["metadata"]["name"] for one in objects for claim in one.get("spec", {}).get("volumeClaimTemplates", [])}
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    assert mounts == volumes | claims, (mounts, volumes, claims)
    labels = pod["metadata"]["labels"].items()
    for one in objects:
        assert one["metadata"]["namespace"] == "tokend", one["metadata"]
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            assert spec["selector"].items() <= labels and {port["targetPort"] for port in spec["ports"]} <= ports, one
        if one["kind"] in ("NetworkPolicy", "PodDisruptionBudget"):
            assert (spec.get("podSelector") or spec["selector"])["matchLabels"].items() <= labels, one
    security, own = pod["spec"]["securityContext"], container["securityContext"]
    assert security["runAsNonRoot"] and security["seccompProfile"]["type"] == "RuntimeDefault", security
    assert own["readOnlyRootFilesystem"] and own["capabilities"] == {"drop": ["ALL"]} and not own["allowPrivilegeEscalation"], own
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["terminationGracePeriodSeconds"] >= 40 - 4


def check_configuration(tokend, folder, path, objects, pod):
    """Writes the files that the pod mounts below a folder, and checks the configuration with the program."""
    root = folder / f"root-{path.name}"
    data = next(one["data"] for one in objects if one["kind"] == "ConfigMap" and "tokend.toml" in one["data"])
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in pod["spec"]["containers"][0]["volumeMounts"]:
        place = root / mount["mountPath"].lstrip("/")
        place.mkdir(parents=True)
        volume = volumes.get(mount["name"], {})
        if mount["name"] == "config":
            for name, text in data.items():
                (place / name).write_text(text.replace('"/', f'"{root}/').replace("sqlite:/", f"sqlite:{root}/"))
        elif mount["name"] == "secrets":
            for source in volume["projected"]["sources"]:
                for item in source["secret"]["items"]:
                    (place / item["path"]).touch(mode=0o600)
                    (place / item["path"]).write_text(SECRETS[item["path"]])
        elif mount["name"] == "tls":
            shutil.copy(folder / "tls.crt", place)
            shutil.copy(folder / "tls.key", place)
        elif mount["name"] == "client-ca":
            shutil.copy(folder / "tls.crt", place / volume["secret"]["items"][0]["path"])
        elif mount["name"] == "cluster":
            (place / "jwks.json").write_text('{"keys":[]}')
    variables = {name: value for name, value in os.environ.items() if not name.startswith("TOKEND_")} | IMAGE
    variables |= {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert variables["TOKEND_CONFIG"] == "/etc/tokend/tokend.toml"
    variables["TOKEND_CONFIG"] = f"{root}/etc/tokend/tokend.toml"
    done = subprocess.run([tokend, "config", "check", "--strict"], env=variables, capture_output=True, text=True)
    assert done.returncode == 0, f"{path.name}: {done.stdout}{done.stderr}"
    print(f"ok: {path.name}: tokend config check: {done.stdout.strip()}")


tokend, folder = sys.argv[1], pathlib.Path(sys.argv[2])
for path in map(pathlib.Path, sys.argv[3:]):
    objects = [one for one in yaml.safe_load_all(path.read_text()) if one]
    pod = next(one["spec"]["template"] for one in objects if one["kind"] in ("Deployment", "StatefulSet"))
    check_schemas(path, objects)
    check_references(objects, pod)
    check_configuration(tokend, folder, path, objects, pod)
    for rule in (one for one in objects if one["kind"] == "PrometheusRule"):
        assert rule["spec"] == yaml.safe_load(pathlib.Path("deploy/prometheus/alerts.yaml").read_text())
