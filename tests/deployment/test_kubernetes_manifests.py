"""The Kubernetes manifests: built by kustomize, held against Kubernetes' own schemas, and hardened.

No cluster runs here: nothing is applied. Without `kubectl` only the files as they are written are looked at.
"""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from deployment.compose_file import ROOT
from ringfence import __version__
from ringfence.runtime.credentials import ALL_SECRETS
from ringfence.service.settings import load_settings

pytestmark = pytest.mark.unit

TOP = ROOT / "docker" / "kubernetes"
OVERLAYS = ("embedded", "databases")
# The oldest and the newest that is looked at.
VERSIONS = ("1.30", "1.33")

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
built_by_kubectl = pytest.mark.needs("kubectl", "kubernetes-client")


@cache
def built(overlay: str) -> tuple[dict[str, Any], ...]:
    done = subprocess.run(
        [
            "kubectl",
            "kustomize",
            "--load-restrictor=LoadRestrictionsNone",
            TOP / "overlays" / overlay,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def of_kind(overlay: str, kind: str) -> list[dict[str, Any]]:
    return [each for each in built(overlay) if each["kind"] == kind]


def pod(overlay: str) -> dict[str, Any]:
    (stateful_set,) = of_kind(overlay, "StatefulSet")
    spec: dict[str, Any] = stateful_set["spec"]["template"]["spec"]
    return spec


def containers(overlay: str) -> list[dict[str, Any]]:
    return [*pod(overlay).get("initContainers", ()), *pod(overlay)["containers"]]


@pytest.mark.parametrize(
    "file", sorted(TOP.rglob("kustomization.yaml")), ids=lambda f: f.parent.name
)
def test_every_file_that_is_named_is_there_and_every_one_there_is_named(file: Path) -> None:
    about = yaml.safe_load(file.read_text("utf-8"))
    generated = [name for each in about.get("configMapGenerator", ()) for name in each["files"]]
    named = [*about["resources"], *generated, *(each["path"] for each in about.get("patches", ()))]

    assert [name for name in named if not (file.parent / name).exists()] == []
    beside = {each.name for each in file.parent.glob("*.yaml")} - {file.name}
    assert beside <= set(named)


@built_by_kubectl
@each_overlay
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_built_keeps_to_the_schemas_of_kubernetes(overlay: str, version: str) -> None:
    for each in built(overlay):
        kubernetes_validate.validate(each, version, strict=True)


@built_by_kubectl
@each_overlay
def test_names_and_labels_meet(overlay: str) -> None:
    (stateful_set,) = of_kind(overlay, "StatefulSet")
    spec = stateful_set["spec"]
    labels = spec["template"]["metadata"]["labels"]
    names = {(each["kind"], each["metadata"]["name"]) for each in built(overlay)}
    selectors = [spec["selector"]["matchLabels"]]
    selectors += [each["spec"]["selector"] for each in of_kind(overlay, "Service")]
    selectors += [
        each["spec"]["selector"]["matchLabels"] for each in of_kind(overlay, "PodDisruptionBudget")
    ]
    selectors += [
        each["spec"]["podSelector"]["matchLabels"] for each in of_kind(overlay, "NetworkPolicy")
    ]

    assert len(selectors) == 5
    assert all(each.items() <= labels.items() for each in selectors)
    assert ("Service", spec["serviceName"]) in names
    assert ("ServiceAccount", pod(overlay)["serviceAccountName"]) in names
    for volume in pod(overlay)["volumes"]:
        if "configMap" in volume:
            assert ("ConfigMap", volume["configMap"]["name"]) in names
    volumes = {each["name"] for each in pod(overlay)["volumes"]}
    volumes |= {each["metadata"]["name"] for each in spec["volumeClaimTemplates"]}
    for each in containers(overlay):
        assert {mount["name"] for mount in each["volumeMounts"]} <= volumes
    assert {each["metadata"].get("namespace") for each in built(overlay)} == {"ringfence", None}


@built_by_kubectl
@each_overlay
@pytest.mark.security
def test_the_pod_has_no_more_rights_than_it_needs(overlay: str) -> None:
    about = pod(overlay)
    assert about["automountServiceAccountToken"] is False
    assert about["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 1000,
        "runAsGroup": 1000,
        "fsGroup": 1000,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for each in containers(overlay):
        assert each["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= set(each["resources"]["limits"])
        assert {"cpu", "memory"} <= set(each["resources"]["requests"])
    (image,) = {each["image"] for each in containers(overlay)}
    assert image == f"ghcr.io/ringfence/ringfence:{__version__}"
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(about)
    (namespace,) = of_kind(overlay, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@built_by_kubectl
@each_overlay
def test_the_probes_ask_the_health_port(overlay: str) -> None:
    (container,) = pod(overlay)["containers"]
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert ports == {"api": 5000, "metrics": 8000, "health": 8001}
    asked = {
        name: container[name]["httpGet"]
        for name in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert {each["port"] for each in asked.values()} == {"health"}
    assert asked["livenessProbe"]["path"] == "/health/live"
    assert asked["readinessProbe"]["path"] == "/health/ready"


@built_by_kubectl
@each_overlay
@pytest.mark.security
def test_the_network_is_closed_but_for_what_is_named(overlay: str) -> None:
    (policy,) = of_kind(overlay, "NetworkPolicy")
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert all(rule["from"] and rule["ports"] for rule in spec["ingress"])
    assert all(rule["to"] and rule["ports"] for rule in spec["egress"])
    out = {port["port"] for rule in spec["egress"] for port in rule["ports"]}
    assert out == ({53} if overlay == "embedded" else {53, 5432, 6379})
    clients = spec["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
    assert clients == {"ringfence-client": "true"}


@built_by_kubectl
@each_overlay
def test_each_container_finds_its_own_secrets_in_files(overlay: str) -> None:
    known = {kind.name.lower() for kind in ALL_SECRETS}
    volumes = {each["name"]: each for each in pod(overlay)["volumes"]}
    for each in containers(overlay):
        paths = {
            f"{mount['mountPath']}/{item['path']}"
            for mount in each["volumeMounts"]
            for item in volumes.get(mount["name"], {}).get("secret", {}).get("items", ())
        }
        named = {about["value"] for about in each["env"] if about["name"].endswith("_FILE")}
        assert named == paths
        assert {Path(path).name for path in paths} <= known
        assert not [about for about in each["env"] if "valueFrom" in about]
    (init,) = pod("databases")["initContainers"]
    assert [mount["name"] for mount in init["volumeMounts"]] == ["tmp", "owner-secrets"]
    assert "database_owner_password" not in json.dumps(volumes["secrets"])


@built_by_kubectl
@each_overlay
def test_the_policies_are_those_of_the_repository_and_keep_their_name(overlay: str) -> None:
    (policies,) = (
        each
        for each in of_kind(overlay, "ConfigMap")
        if each["metadata"]["name"] == "ringfence-policies"
    )
    assert policies["data"] == {
        file.name: file.read_text("utf-8") for file in (ROOT / "policies").glob("*.yaml")
    }


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_settings_are_settings(overlay: str) -> None:
    loaded = load_settings(TOP / "overlays" / overlay / "ringfence.yaml", environ={}).settings
    base = yaml.safe_load((TOP / "base" / "stateful-set.yaml").read_text("utf-8"))
    grace = base["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace * 1e9 > loaded.server.stop_within
    assert loaded.state.kind == ("redis" if overlay == "databases" else "embedded")
