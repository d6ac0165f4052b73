"""What the stand-in for the W&B server remembers, and how it answers the client's GraphQL operations.

Answers hold more fields than a query names: the client ignores them, and no GraphQL parser is needed.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

__all__ = ["ENTITY", "OPERATIONS", "ORGANIZATION", "Artifact", "Collection", "Run", "Store"]

ENTITY = "tester"
ORGANIZATION = "tester-org"

Json = dict[str, Any]


@dataclass
class Run:
    """One run; its path is `entity/project/id`."""

    path: str
    display_name: str | None = None
    job_type: str | None = None
    group: str | None = None
    commit: str | None = None
    tags: list[str] = field(default_factory=list)
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    used: list["Artifact"] = field(default_factory=list)
    logged: list["Artifact"] = field(default_factory=list)
    exit_code: int | None = None

    @property
    def id(self) -> str:
        """W&B's id of the run."""
        return self.path.rpartition("/")[2]


@dataclass
class Artifact:
    """One version of an artifact; it belongs to the collection it was logged to."""

    id: str
    collection: "Collection"
    digest: str
    metadata: Json
    wanted_aliases: list[str]
    run: Run | None
    manifest: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    used_by: list[Run] = field(default_factory=list)

    @property
    def committed(self) -> bool:
        """Whether everything has arrived."""
        return self in self.collection.versions

    @property
    def version(self) -> str:
        """`v0`, `v1`, ... in its own collection."""
        return f"v{self.collection.versions.index(self)}"

    @property
    def aliases(self) -> set[str]:
        """Aliases in its own collection."""
        return set(self.collection.aliases_of(self))

    @property
    def name(self) -> str:
        """`entity/project/collection:version`."""
        return f"{self.collection.path}:{self.version}"


@dataclass
class Collection:
    """Versions in order, and which of them each alias names; a registry's holds links to other collections'."""

    path: str
    type: str
    kind: str
    versions: list[Artifact] = field(default_factory=list)
    aliases: dict[str, Artifact] = field(default_factory=dict)

    def add(self, artifact: Artifact, aliases: Iterable[str]) -> None:
        """Append a version; it takes `latest` and the aliases from whichever version has them."""
        if artifact not in self.versions:
            self.versions.append(artifact)
        self.aliases.update(dict.fromkeys(["latest", *aliases], artifact))

    def find(self, reference: str) -> Artifact | None:
        """Return the version that an alias, or `vN`, names."""
        if re.fullmatch(r"v\d+", reference) and int(reference[1:]) < len(self.versions):
            return self.versions[int(reference[1:])]
        return self.aliases.get(reference)

    def aliases_of(self, artifact: Artifact) -> list[str]:
        """Return the aliases that name this version."""
        return [alias for alias, holder in self.aliases.items() if holder is artifact]


class Store:
    """Runs, artifacts and registry links; the methods answer an operation's variables with its `data`."""

    url = ""
    """Where the server listens."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.collections: dict[str, Collection] = {}
        self.by_id: dict[str, Artifact] = {}
        self.registries = {"model": "model", "dataset": "dataset", "trashlens": "bundle"}
        """By name, the type of artifact that one accepts: W&B's core registries, and the user's."""

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """Complete artifacts by `entity/project/collection:version`, in the order they were created."""
        return {artifact.name: artifact for artifact in self.by_id.values() if artifact.committed}

    def artifact(self, reference: str) -> Artifact | None:
        """Return what `entity/project/collection:alias` names, in a registry too."""
        path, _, alias = reference.partition(":")
        collection = self.collections.get(path)
        return collection.find(alias or "latest") if collection else None

    def viewer(self, _: Json) -> Json:
        named = dict.fromkeys(("id", "entity", "username", "name", "email"), ENTITY)
        return {
            "viewer": {**named, "flags": "{}", "admin": False, "teams": _listing([{"name": ENTITY}])}
        }

    def organization(self, _: Json) -> Json:
        names = {"name": ORGANIZATION, "orgEntity": {"name": ORGANIZATION}}
        organization = {**names, "coreWeaveOrganizationId": None}
        return {"entity": {"organization": organization, "user": None, "xxhashDigestsEnabled": False}}

    def features(self, _: Json) -> Json:
        return {"serverInfo": {"features": []}}

    def read_only(self, _: Json) -> Json:
        return {"project": {"readOnly": False}}

    def upsert_run(self, v: Json) -> Json:
        path = f"{v.get('entity') or ENTITY}/{v.get('project') or 'uncategorized'}/{v['name']}"
        inserted = path not in self.runs
        run = self.runs.setdefault(path, Run(path))
        run.display_name = v.get("displayName") or run.display_name
        run.job_type, run.group = v.get("jobType") or run.job_type, v.get("groupName") or run.group
        run.commit, run.tags = v.get("commit") or run.commit, v.get("tags") or run.tags
        if v.get("config"):
            run.config = {key: item["value"] for key, item in json.loads(v["config"]).items()}
        return {"upsertBucket": {"inserted": inserted, "bucket": _describe_run(run)}}

    def resume_status(self, v: Json) -> Json:
        path = f"{v.get('entity') or ENTITY}/{v['project']}"
        run = self.runs.get(f"{path}/{v['name']}")
        return {"model": {**_describe_project(path), "bucket": _describe_run(run) if run else None}}

    def run(self, v: Json) -> Json:
        run = self.runs.get(f"{v['entity']}/{v['project']}/{v['name']}")
        return {"project": {"run": _describe_run(run) if run else None}}

    def run_files(self, v: Json) -> Json:
        path = f"{v['entity']}/{v['project']}/{v['run']}"
        files = [{"name": name, "uploadUrl": self._storage("runs", path, name)} for name in v["files"]]
        return {"createRunFiles": {"runID": v["run"], "uploadHeaders": [], "files": files}}

    def create_artifact(self, v: Json) -> Json:
        project = f"{v['entityName']}/{v['projectName']}"
        name = (v.get("artifactCollectionNames") or [v.get("artifactCollectionName")])[0]
        collection = self._collection(f"{project}/{name}", v["artifactTypeName"], "ArtifactSequence")
        run = self.runs.get(f"{project}/{v.get('runName')}")
        aliases = [alias["alias"] for alias in v.get("aliases") or []]
        same = [version for version in collection.versions if version.digest == v["digest"]]
        if same:  # W&B makes no new version of the same content; the aliases move to it
            artifact = same[-1]
            collection.aliases.update(dict.fromkeys(aliases, artifact))
        else:
            metadata = json.loads(v.get("metadata") or "{}")
            id_ = _id("Artifact", str(len(self.by_id)))
            artifact = Artifact(id_, collection, v["digest"], metadata, aliases, run)
            self.by_id[artifact.id] = artifact
        if run and artifact not in run.logged:
            run.logged.append(artifact)
        latest = collection.aliases.get("latest")
        sequence = {"id": collection.path, "latestArtifact": {"id": latest.id} if latest else None}
        return {"createArtifact": {"artifact": {**_describe(artifact), "artifactSequence": sequence}}}

    def manifest(self, v: Json) -> Json:
        # A manifest has its artifact's id.
        id_ = v.get("artifactID") or v["artifactManifestID"]
        file = {"id": id_, "uploadUrl": self._storage("manifests", id_), "uploadHeaders": []}
        answer = {"artifactManifest": {"id": id_, "file": file}}
        return {"createArtifactManifest": answer, "updateArtifactManifest": answer}

    def artifact_files(self, v: Json) -> Json:
        nodes = [
            {
                **{"storagePath": None, "uploadHeaders": [], "uploadMultipartUrls": None},
                "uploadUrl": self._storage("artifacts", spec["artifactID"], spec["name"]),
                "artifact": {"id": spec["artifactID"]},
            }
            for spec in v["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": _listing(nodes)}}

    def commit_artifact(self, v: Json) -> Json:
        artifact = self.by_id[v["artifactID"]]
        missing = set(json.loads(artifact.manifest)["contents"]) - set(artifact.files)
        if missing:
            raise LookupError(f"files of the manifest that were never uploaded: {sorted(missing)}")
        artifact.collection.add(artifact, artifact.wanted_aliases)
        return {"commitArtifact": {"artifact": _describe(artifact)}}

    def use_artifact(self, v: Json) -> Json:
        artifact = self.by_id[v["artifactID"]]
        run = self.runs[f"{v['entityName']}/{v['projectName']}/{v['runName']}"]
        if artifact not in run.used:
            run.used.append(artifact)
            artifact.used_by.append(run)
        return {"useArtifact": {"artifact": _describe(artifact)}}

    def artifact_type(self, v: Json) -> Json:
        artifact = self.artifact(f"{v['entity']}/{v['project']}/{v['name']}")
        return {"project": {"artifact": _describe(artifact) if artifact else None}}

    def membership(self, v: Json) -> Json:
        project = f"{v['entity']}/{v['project']}"
        if not any(path.startswith(f"{project}/") for path in [*self.collections, *self.runs]):
            return {"project": None}
        artifact = self.artifact(f"{project}/{v['name']}")
        collection = self.collections.get(f"{project}/{v['name'].partition(':')[0]}")
        found = _describe_membership(collection, artifact) if collection and artifact else None
        return {"project": {"artifactCollectionMembership": found}}

    def artifact_by_id(self, v: Json) -> Json:
        artifact = self.by_id[v.get("id") or v["artifact_id"]]
        aliases = [
            {**_describe_alias(alias), "artifactCollection": _describe_collection(collection)}
            for collection in self.collections.values()
            for alias in collection.aliases_of(artifact)
        ]
        more = {
            "aliases": aliases,
            "currentManifest": {"file": {"directUrl": self._storage("manifests", artifact.id)}},
            "usedBy": _listing([_describe_run(run) for run in artifact.used_by]),
            "createdBy": _describe_run(artifact.run) if artifact.run else None,
        }
        return {"artifact": {**_describe(artifact), **more}}

    def list_files(self, v: Json) -> Json:
        path = f"{v['entity']}/{v['project']}/{v['collection']}"
        artifact = self.artifact(f"{path}:{v['alias']}")
        assert artifact is not None
        unknown = dict.fromkeys(("url", "storagePath", "mimetype", "updatedAt", "digest", "md5"))
        nodes = [
            {
                **{**unknown, "__typename": "File", "id": _id("File", name), "name": name},
                "sizeBytes": len(content),
                "directUrl": self._storage("artifacts", artifact.id, name),
            }
            for name, content in artifact.files.items()
            if name in (v.get("fileNames") or artifact.files)
        ]
        kind = self.collections[path].kind
        membership = {"__typename": kind, "artifactMembership": {"files": _listing(nodes)}}
        return {"project": {"artifactCollection": membership}}

    def inputs(self, v: Json) -> Json:
        return self._artifacts_of(v, "used")

    def outputs(self, v: Json) -> Json:
        return self._artifacts_of(v, "logged")

    def add_aliases(self, v: Json) -> Json:
        for alias in v["aliases"]:
            self._holders(alias)[alias["alias"]] = self.by_id[v["artifactID"]]
        return {"result": {"success": True}}

    def delete_aliases(self, v: Json) -> Json:
        for alias in v["aliases"]:
            self._holders(alias).pop(alias["alias"], None)
        return {"result": {"success": True}}

    def update_artifact(self, v: Json) -> Json:
        artifact = self.by_id[v["artifactID"]]
        artifact.metadata = json.loads(v.get("metadata") or "{}")
        answer = self.artifact_by_id({"id": artifact.id})
        return {"result": answer, "updateArtifact": answer}

    def link_artifact(self, v: Json) -> Json:
        artifact = self.by_id[v["artifactID"]]
        registry = v["projectName"].removeprefix("wandb-registry-")
        if artifact.collection.type != self.registries[registry]:
            raise LookupError(f"the registry {registry} accepts no {artifact.collection.type}")
        path = f"{v['entityName']}/{v['projectName']}/{v['artifactPortfolioName']}"
        collection = self._collection(path, artifact.collection.type, "ArtifactPortfolio")
        collection.add(artifact, [alias["alias"] for alias in v.get("aliases") or []])
        linked = _describe_membership(collection, artifact)
        return {"result": {"versionIndex": linked["versionIndex"], "artifactMembership": linked}}

    def _storage(self, *parts: str) -> str:
        return "/".join([self.url, "storage", *(quote(part) for part in parts)])

    def _collection(self, path: str, type_: str, kind: str) -> Collection:
        return self.collections.setdefault(path, Collection(path, type_, kind))

    def _holders(self, alias: Json) -> dict[str, Artifact]:
        path = (alias["entityName"], alias["projectName"], alias["artifactCollectionName"])
        return self.collections["/".join(path)].aliases

    def _artifacts_of(self, v: Json, part: str) -> Json:
        run = self.runs[f"{v['entity']}/{v['project']}/{v['run']}"]
        nodes = [self.artifact_by_id({"id": artifact.id})["artifact"] for artifact in getattr(run, part)]
        return {"project": {"run": {"artifacts": _listing(nodes)}}}


def _id(kind: str, name: str) -> str:
    return base64.b64encode(f"{kind}:{name}".encode()).decode()


def _listing(nodes: list[Json]) -> Json:
    page = {"endCursor": None, "hasNextPage": False}
    return {"totalCount": len(nodes), "pageInfo": page, "edges": [{"node": node} for node in nodes]}


def _describe_project(path: str) -> Json:
    entity, name = path.split("/")
    owner = {"id": _id("Entity", entity), "name": entity}
    return {
        "id": _id("Project", path),
        "internalId": _id("Project", path),
        "name": name,
        "entity": owner,
    }


def _describe_run(run: Run) -> Json:
    project, _, id_ = run.path.rpartition("/")
    return {
        **{
            "__typename": "Run",
            "id": _id("Run", id_),
            "name": id_,
            "project": _describe_project(project),
        },
        **{"displayName": run.display_name, "jobType": run.job_type, "group": run.group},
        **{"commit": run.commit, "tags": run.tags, "user": {"name": ENTITY, "username": ENTITY}},
        "state": {None: "running", 0: "finished"}.get(run.exit_code, "failed"),
        "createdAt": _now(),
        "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
        "summaryMetrics": json.dumps(run.summary),
        "historyTail": json.dumps([json.dumps(line) for line in run.history[-1:]]),
        "historyLineCount": len(run.history),
        **{"eventsTail": "[]", "eventsLineCount": 0, "logLineCount": 0, "wandbConfig": '{"t": 1}'},
    }


def _describe(artifact: Artifact) -> Json:
    versions = artifact.collection.versions
    return {
        **{"__typename": "Artifact", "id": artifact.id, "digest": artifact.digest, "description": None},
        "state": "COMMITTED" if artifact.committed else "PENDING",
        "versionIndex": versions.index(artifact) if artifact.committed else None,
        "artifactSequence": _describe_collection(artifact.collection),
        "artifactType": {"name": artifact.collection.type},
        "metadata": json.dumps(artifact.metadata),
        "size": sum(map(len, artifact.files.values())),
        "fileCount": len(artifact.files),
        **{"ttlDurationSeconds": -2, "ttlIsInherited": True, "tags": [], "historyStep": None},
        **{"commitHash": "", "createdAt": _now(), "updatedAt": _now()},
    }


def _describe_collection(collection: Collection) -> Json:
    project, _, name = collection.path.rpartition("/")
    known = {"__typename": collection.kind, "id": _id("Collection", collection.path), "name": name}
    return {**known, "project": _describe_project(project)}


def _describe_membership(collection: Collection, artifact: Artifact) -> Json:
    return {
        "__typename": "ArtifactCollectionMembership",
        "id": _id("Membership", collection.path + artifact.id),
        "versionIndex": collection.versions.index(artifact),
        "createdAt": _now(),
        "aliases": [_describe_alias(alias) for alias in collection.aliases_of(artifact)],
        "artifactCollection": _describe_collection(collection),
        "artifact": _describe(artifact),
    }


def _describe_alias(alias: str) -> Json:
    return {"__typename": "ArtifactAlias", "id": _id("Alias", alias), "alias": alias}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


OPERATIONS: dict[str, Callable[[Store, Json], Json]] = {
    **dict.fromkeys(("Viewer", "GetViewer", "GetDefaultEntity"), Store.viewer),
    **dict.fromkeys(("XXHashDigestsEnabled", "OrganizationCoreWeaveOrganizationID"), Store.organization),
    **dict.fromkeys(("FetchOrgEntityFromEntity", "FetchOrgInfoFromEntity"), Store.organization),
    "ServerFeaturesQuery": Store.features,
    "IsProjectReadOnly": Store.read_only,
    "UpsertBucket": Store.upsert_run,
    "RunResumeStatus": Store.resume_status,
    "Run": Store.run,
    "CreateRunFiles": Store.run_files,
    "CreateArtifact": Store.create_artifact,
    **dict.fromkeys(("CreateArtifactManifest", "UpdateArtifactManifest"), Store.manifest),
    "CreateArtifactFiles": Store.artifact_files,
    "CommitArtifact": Store.commit_artifact,
    "UseArtifact": Store.use_artifact,
    "ArtifactType": Store.artifact_type,
    "ArtifactMembershipByName": Store.membership,
    **dict.fromkeys(("ArtifactByID", "ArtifactUsedBy", "ArtifactCreatedBy"), Store.artifact_by_id),
    **dict.fromkeys(("FetchArtifactManifest", "ArtifactManifest"), Store.artifact_by_id),
    **dict.fromkeys(("GetArtifactMembershipFileUrls", "ArtifactMembershipFiles"), Store.list_files),
    "RunInputArtifacts": Store.inputs,
    "RunOutputArtifacts": Store.outputs,
    "AddAliases": Store.add_aliases,
    "DeleteAliases": Store.delete_aliases,
    "UpdateArtifact": Store.update_artifact,
    "LinkArtifact": Store.link_artifact,
}
