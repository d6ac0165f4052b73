"""A stand-in for the W&B server: what the real client asks of it here, answered from memory.

It listens on loopback and keeps runs, artifacts and registry links, so that a test can read what arrived. It
can refuse requests, stop answering, or die. Answers hold more fields than a query names: the client ignores
them, and no GraphQL parser is needed. Whatever it does not know it refuses and lists in `unknown`.
"""

import base64
import gzip
import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote, unquote

__all__ = ["ENTITY", "KEY", "ORGANIZATION", "Artifact", "Collection", "Run", "WandbServer"]

KEY = "0123456789abcdef" * 2 + "01234567"
ENTITY = "tester"
ORGANIZATION = "tester-org"

Json = dict[str, Any]


@dataclass
class Run:
    """What the server knows of one run."""

    entity: str
    project: str
    id: str
    display_name: str | None = None
    job_type: str | None = None
    group: str | None = None
    tags: list[str] = field(default_factory=list)
    commit: str | None = None
    config: Json = field(default_factory=dict)
    summary: Json = field(default_factory=dict)
    history: list[Json] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    used: list["Artifact"] = field(default_factory=list)
    logged: list["Artifact"] = field(default_factory=list)
    exit_code: int | None = None


@dataclass
class Artifact:
    """One version of an artifact; it belongs to the collection it was logged to."""

    id: str
    collection: "Collection"
    digest: str
    metadata: Json
    client_id: str | None
    wanted_aliases: list[str]
    description: str | None = None
    run: Run | None = None
    state: str = "PENDING"
    manifest: bytes = b""
    files: dict[str, bytes] = field(default_factory=dict)
    used_by: list[Run] = field(default_factory=list)

    @property
    def version(self) -> str:
        """`v0`, `v1`, ... in its own collection."""
        return f"v{self.collection.versions.index(self)}"

    @property
    def aliases(self) -> set[str]:
        """Aliases in its own collection."""
        return {alias for alias, holder in self.collection.aliases.items() if holder is self}

    @property
    def name(self) -> str:
        """`entity/project/collection:version`."""
        return f"{self.collection.path}:{self.version}"


@dataclass
class Collection:
    """Versions in order, and which of them each alias names; a registry's holds links to other collections'."""

    entity: str
    project: str
    name: str
    type: str
    id: str
    kind: str = "ArtifactSequence"
    versions: list[Artifact] = field(default_factory=list)
    aliases: dict[str, Artifact] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """`entity/project/name`."""
        return f"{self.entity}/{self.project}/{self.name}"

    def add(self, artifact: Artifact, aliases: list[str]) -> None:
        """Append a version; it takes `latest` and the aliases from whichever version has them."""
        if artifact not in self.versions:
            self.versions.append(artifact)
        self.aliases.update(dict.fromkeys(["latest", *aliases], artifact))

    def find(self, reference: str) -> Artifact | None:
        """Return the version that an alias, or `vN`, names."""
        if re.fullmatch(r"v\d+", reference) and int(reference[1:]) < len(self.versions):
            return self.versions[int(reference[1:])]
        return self.aliases.get(reference)


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a client that ends resets its connections."""


class WandbServer:
    """The server, from `with WandbServer() as server` on; `server.environment` leads a client to it."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.collections: dict[str, Collection] = {}
        self.requests: list[str] = []
        self.unknown: list[str] = []
        self.responding = threading.Event()
        self.responding.set()
        self._artifacts: dict[str, Artifact] = {}
        self._failures: list[int] = []
        self._lock = threading.RLock()
        self._stopped = False
        self._http = _Listener(("127.0.0.1", 0), self._handler_class())
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that send a client here."""
        return {"WANDB_BASE_URL": self.url, "WANDB_API_KEY": KEY, "WANDB_MODE": "online"}

    @property
    def artifacts(self) -> dict[str, Artifact]:
        """Committed artifacts by `entity/project/collection:version`, in the order they were created."""
        return {a.name: a for a in self._artifacts.values() if a.state == "COMMITTED"}

    def artifact(self, reference: str) -> Artifact | None:
        """Return what `entity/project/collection:alias` names, in a registry too."""
        path, _, alias = reference.partition(":")
        collection = self.collections.get(path)
        return collection.find(alias or "latest") if collection else None

    def fail_next(self, count: int, status: int) -> None:
        """Answer the next `count` requests with this HTTP status."""
        self._failures += [status] * count

    def hang(self) -> None:
        """Take requests and answer none until `responding.set()`."""
        self.responding.clear()

    def stop(self) -> None:
        """Die: refuse new connections and drop open ones without an answer."""
        if not self._stopped:
            self._stopped = True
            self.responding.set()
            self._http.shutdown()
            self._http.server_close()

    def __enter__(self) -> "WandbServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    # HTTP

    def _handler_class(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                server.responding.wait()
                if server._stopped:
                    self.close_connection = True
                    return
                status, content = server._answer(
                    self.command, self.path, self.headers.get("Authorization", ""), body
                )
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                pass

        return Handler

    def _answer(self, method: str, path: str, authorization: str, body: bytes) -> tuple[int, bytes]:
        """Return status and body; only storage URLs, which are signed at W&B, need no key."""
        with self._lock:
            if self._failures:
                return self._failures.pop(0), b"{}"
            parts = [unquote(part) for part in path.partition("?")[0].strip("/").split("/")]
            if parts[0] == "storage":
                self.requests.append(f"{method} storage")
                return self._store(method, parts[1:], body)
            if authorization != "Basic " + base64.b64encode(f"api:{KEY}".encode()).decode():
                return 401, b'{"errors": [{"message": "user is not logged in"}]}'
            if parts[0] == "graphql":
                return 200, json.dumps(self._query(json.loads(body))).encode()
            self.requests.append(f"{method} {parts[-1]}")
            if parts[0] == "files" and parts[-1] == "file_stream":
                return 200, json.dumps(self._stream("/".join(parts[1:4]), json.loads(body))).encode()
            self.unknown.append(f"{method} {path}")
            return 404, b"{}"

    def _store(self, method: str, parts: list[str], body: bytes) -> tuple[int, bytes]:
        """Keep or return a file: `runs/<entity>/<project>/<id>/<name>`, `artifacts/<id>/<name>`."""
        if parts[0] == "runs":
            files, name = self.runs["/".join(parts[1:4])].files, "/".join(parts[4:])
        elif parts[0] == "artifacts":
            files, name = self._artifacts[parts[1]].files, "/".join(parts[2:])
        else:
            artifact = self._artifacts[parts[1]]
            if method == "PUT":
                artifact.manifest = body
            return 200, artifact.manifest
        if method == "PUT":
            files[name] = body
            return 200, b""
        return (200, files[name]) if name in files else (404, b"")

    def _stream(self, path: str, body: Json) -> Json:
        """Take a piece of a run's history and summary, and its end."""
        run = self.runs[path]
        for name, chunk in body.get("files", {}).items():
            lines = (
                [json.loads(line) for line in chunk["content"]]
                if name.endswith((".jsonl", ".json"))
                else []
            )
            if name == "wandb-history.jsonl":
                run.history[chunk["offset"] :] = lines
            elif name == "wandb-summary.json" and lines:
                run.summary = lines[-1]
        if body.get("complete"):
            run.exit_code = body["exitcode"]
        return {"limits": {}}

    def _query(self, body: Json) -> Json:
        """Answer one GraphQL operation."""
        match = re.search(r"(?:query|mutation)\s+(\w+)", body["query"])
        operation = match[1] if match else body["query"][:100]
        self.requests.append(operation)
        handler: Callable[[WandbServer, Json], Json] | None = OPERATIONS.get(operation)
        if handler is None:
            self.unknown.append(f"{operation}: {body['query']} {body.get('variables')}")
            return {"errors": [{"message": f"the stand-in does not know {operation}"}]}
        variables = body.get("variables") or {}
        values = {**variables, **(variables.get("input") or {})}
        # What was recorded offline names no entity: it is the key's own.
        own = {key: ENTITY for key in ("entity", "entityName") if values.get(key) == ""}
        try:
            return {"data": handler(self, {**values, **own})}
        except LookupError as error:
            return {"errors": [{"message": f"not found: {error}"}]}

    # GraphQL operations: each takes the variables and returns the answer's `data`

    def _viewer(self, _: Json) -> Json:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        viewer = {
            "id": "u",
            "entity": ENTITY,
            "username": ENTITY,
            "email": "",
            "flags": "{}",
            "admin": False,
        }
        return {"viewer": {**viewer, "name": ENTITY, "teams": teams}}

    def _organization(self, _: Json) -> Json:
        names = {"name": ORGANIZATION, "orgEntity": {"name": ORGANIZATION}}
        organization = {**names, "coreWeaveOrganizationId": None}
        return {"entity": {"organization": organization, "user": None, "xxhashDigestsEnabled": False}}

    def _artifact_type(self, v: Json) -> Json:
        artifact = self.artifact(f"{v['entity']}/{v['project']}/{v['name']}")
        found = {"artifactType": {"name": artifact.collection.type}} if artifact else None
        return {"project": {"artifact": found}}

    def _run(self, v: Json) -> Json:
        run = self.runs.get(f"{v['entity']}/{v['project']}/{v['name']}")
        return {"project": {"run": self._describe_run(run) if run else None}}

    def _upsert_run(self, v: Json) -> Json:
        entity, project = v.get("entity") or ENTITY, v.get("project") or "uncategorized"
        path = f"{entity}/{project}/{v['name']}"
        inserted = path not in self.runs
        run = self.runs.setdefault(path, Run(entity=entity, project=project, id=v["name"]))
        run.display_name = v.get("displayName") or run.display_name
        run.job_type, run.group = v.get("jobType") or run.job_type, v.get("groupName") or run.group
        run.commit, run.tags = v.get("commit") or run.commit, v.get("tags") or run.tags
        if v.get("config"):
            run.config = {key: item["value"] for key, item in json.loads(v["config"]).items()}
        return {"upsertBucket": {"inserted": inserted, "bucket": self._describe_run(run)}}

    def _resume_status(self, v: Json) -> Json:
        entity = v.get("entity") or ENTITY
        run = self.runs.get(f"{entity}/{v['project']}/{v['name']}")
        bucket = self._describe_run(run) if run else None
        return {"model": {**_project(entity, v["project"]), "bucket": bucket}}

    def _run_files(self, v: Json) -> Json:
        path = f"{v['entity']}/{v['project']}/{v['run']}"
        run = self.runs[path]
        files = [{"name": name, "uploadUrl": self._storage("runs", path, name)} for name in v["files"]]
        return {"createRunFiles": {"runID": run.id, "uploadHeaders": [], "files": files}}

    def _create_artifact(self, v: Json) -> Json:
        name = (v.get("artifactCollectionNames") or [v.get("artifactCollectionName")])[0]
        collection = self._collection(v["entityName"], v["projectName"], name, v["artifactTypeName"])
        run = self.runs.get(f"{v['entityName']}/{v['projectName']}/{v.get('runName')}")
        aliases = [alias["alias"] for alias in v.get("aliases") or []]
        same = [a for a in collection.versions if a.digest == v["digest"]]
        if same:  # W&B makes no new version of the same content; the aliases move to it
            artifact = same[-1]
            collection.aliases.update(dict.fromkeys(aliases, artifact))
        else:
            artifact = Artifact(
                id=_id(f"Artifact:{len(self._artifacts)}"),
                collection=collection,
                digest=v["digest"],
                metadata=json.loads(v.get("metadata") or "{}"),
                client_id=v.get("clientID"),
                wanted_aliases=aliases,
                description=v.get("description"),
                run=run,
            )
            self._artifacts[artifact.id] = artifact
        if run and artifact not in run.logged:
            run.logged.append(artifact)
        latest = collection.aliases.get("latest")
        sequence = {"id": collection.id, "latestArtifact": {"id": latest.id} if latest else None}
        answer = {"id": artifact.id, "state": artifact.state, "artifactSequence": sequence}
        return {"createArtifact": {"artifact": answer}}

    def _manifest(self, v: Json) -> Json:
        artifact = self._artifacts[
            v.get("artifactID") or v["artifactManifestID"].removeprefix("manifest-")
        ]
        file = {
            "id": artifact.id,
            "uploadUrl": self._storage("manifests", artifact.id),
            "uploadHeaders": [],
        }
        answer = {"artifactManifest": {"id": f"manifest-{artifact.id}", "file": file}}
        return {"createArtifactManifest": answer, "updateArtifactManifest": answer}

    def _artifact_files(self, v: Json) -> Json:
        edges = []
        for spec in v["artifactFiles"]:
            artifact = self._artifacts[spec["artifactID"]]
            node = {
                "storagePath": None,
                "uploadUrl": self._storage("artifacts", artifact.id, spec["name"]),
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "artifact": {"id": artifact.id},
            }
            edges.append({"node": node})
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _commit(self, v: Json) -> Json:
        artifact = self._artifacts[v["artifactID"]]
        missing = set(json.loads(artifact.manifest)["contents"]) - set(artifact.files)
        if missing:
            raise LookupError(f"files of the manifest that were never uploaded: {sorted(missing)}")
        artifact.state = "COMMITTED"
        artifact.collection.add(artifact, artifact.wanted_aliases)
        return {"commitArtifact": {"artifact": {"id": artifact.id, "digest": artifact.digest}}}

    def _use_artifact(self, v: Json) -> Json:
        artifact = self._artifacts[v["artifactID"]]
        run = self.runs[f"{v['entityName']}/{v['projectName']}/{v['runName']}"]
        if artifact not in run.used:
            run.used.append(artifact)
            artifact.used_by.append(run)
        return {"useArtifact": {"artifact": self._describe(artifact)}}

    def _membership(self, v: Json) -> Json:
        name, _, alias = v["name"].partition(":")
        path = f"{v['entity']}/{v['project']}"
        if not any(known.startswith(path + "/") for known in [*self.collections, *self.runs]):
            return {"project": None}
        collection = self.collections.get(f"{path}/{name}")
        artifact = collection.find(alias or "latest") if collection else None
        found = self._describe_membership(collection, artifact) if collection and artifact else None
        return {"project": {"artifactCollectionMembership": found}}

    def _artifact_by_id(self, v: Json) -> Json:
        artifact = self._artifacts[v.get("id") or v["artifact_id"]]
        manifest = {"file": {"directUrl": self._storage("manifests", artifact.id)}}
        by = artifact.run
        runs = {"edges": [{"node": self._describe_run(run)} for run in artifact.used_by]}
        lineage = {"usedBy": runs, "createdBy": self._describe_run(by) if by else None}
        return {"artifact": {**self._describe(artifact), "currentManifest": manifest, **lineage}}

    def _file_urls(self, v: Json) -> Json:
        collection = self.collections[f"{v['entity']}/{v['project']}/{v['collection']}"]
        artifact = collection.find(v["alias"])
        assert artifact is not None
        held = artifact.files
        names = [name for name in held if name in (v.get("fileNames") or held)]
        nodes = [
            {
                "__typename": "File",
                "id": _id(f"File:{artifact.id}:{name}"),
                "name": name,
                "url": None,
                "sizeBytes": len(held[name]),
                "storagePath": None,
                "mimetype": None,
                "updatedAt": None,
                "digest": None,
                "md5": None,
                "directUrl": self._storage("artifacts", artifact.id, name),
            }
            for name in names
        ]
        page = {"pageInfo": {"endCursor": None, "hasNextPage": False}}
        files = {**page, "edges": [{"node": node} for node in nodes]}
        membership = {"artifactMembership": {"files": files}}
        return {"project": {"artifactCollection": {"__typename": collection.kind, **membership}}}

    def _run_artifacts(self, v: Json) -> Json:
        run = self.runs[f"{v['entity']}/{v['project']}/{v['run']}"]
        page = {"pageInfo": {"endCursor": None, "hasNextPage": False}}

        def listing(artifacts: list[Artifact]) -> Json:
            edges = [{"node": self._describe(artifact)} for artifact in artifacts]
            return {**page, "totalCount": len(edges), "edges": edges}

        # Both operations name their field `artifacts`, so the operation says which is meant.
        wanted = run.used if self.requests[-1] == "RunInputArtifacts" else run.logged
        return {"project": {"run": {"artifacts": listing(wanted)}}}

    def _add_aliases(self, v: Json) -> Json:
        artifact = self._artifacts[v["artifactID"]]
        for alias in v["aliases"]:
            self._alias_target(alias).aliases[alias["alias"]] = artifact
        return {"result": {"success": True}}

    def _delete_aliases(self, v: Json) -> Json:
        for alias in v["aliases"]:
            self._alias_target(alias).aliases.pop(alias["alias"], None)
        return {"result": {"success": True}}

    def _update_artifact(self, v: Json) -> Json:
        artifact = self._artifacts[v["artifactID"]]
        artifact.metadata = json.loads(v.get("metadata") or "{}")
        artifact.description = v.get("description")
        answer = {"artifact": self._describe(artifact)}
        return {"result": answer, "updateArtifact": answer}

    def _link_artifact(self, v: Json) -> Json:
        by_client = {a.client_id: a for a in self._artifacts.values()}
        artifact = self._artifacts.get(v.get("artifactID") or v.get("artifactId") or "")
        artifact = artifact or by_client[v.get("clientID") or v.get("clientId")]
        name, kind = v["artifactPortfolioName"], "ArtifactPortfolio"
        collection = self._collection(
            v["entityName"], v["projectName"], name, artifact.collection.type, kind=kind
        )
        collection.add(artifact, [alias["alias"] for alias in v.get("aliases") or []])
        answer = {"versionIndex": collection.versions.index(artifact)}
        membership = self._describe_membership(collection, artifact)
        return {"result": {**answer, "artifactMembership": membership}, "linkArtifact": answer}

    # Pieces of answers

    def _storage(self, *parts: str) -> str:
        return "/".join([self.url, "storage", *(quote(part) for part in parts)])

    def _collection(
        self, entity: str, project: str, name: str, kind_of: str, *, kind: str = "ArtifactSequence"
    ) -> Collection:
        path = f"{entity}/{project}/{name}"
        if path not in self.collections:
            id_ = _id(f"Collection:{len(self.collections)}")
            self.collections[path] = Collection(entity, project, name, kind_of, id_, kind)
        return self.collections[path]

    def _alias_target(self, alias: Json) -> Collection:
        path = (alias["entityName"], alias["projectName"], alias["artifactCollectionName"])
        return self.collections["/".join(path)]

    def _describe_run(self, run: Run) -> Json:
        finished = {None: "running", 0: "finished"}.get(run.exit_code, "failed")
        return {
            "__typename": "Run",
            "id": _id(f"Run:{run.id}"),
            "name": run.id,
            "displayName": run.display_name,
            "state": finished,
            "createdAt": _now(),
            "user": {"name": ENTITY, "username": ENTITY},
            "jobType": run.job_type,
            "group": run.group,
            "commit": run.commit,
            "config": json.dumps({key: {"value": value} for key, value in run.config.items()}),
            "summaryMetrics": json.dumps(run.summary),
            "project": _project(run.entity, run.project),
            "historyLineCount": len(run.history),
            "eventsLineCount": 0,
            "logLineCount": 0,
            "historyTail": json.dumps([json.dumps(line) for line in run.history[-1:]]),
            "eventsTail": "[]",
            "tags": run.tags,
            "wandbConfig": json.dumps({"t": 1}),
        }

    def _describe(self, artifact: Artifact) -> Json:
        committed = artifact.state == "COMMITTED"
        aliases = [
            {**alias, "artifactCollection": _describe_collection(collection)}
            for collection in self.collections.values()
            for alias in _aliases(collection, artifact)
        ]
        return {
            "__typename": "Artifact",
            "id": artifact.id,
            "artifactSequence": _describe_collection(artifact.collection),
            "versionIndex": artifact.collection.versions.index(artifact) if committed else None,
            "artifactType": {"name": artifact.collection.type},
            "description": artifact.description,
            "metadata": json.dumps(artifact.metadata),
            "ttlDurationSeconds": -2,
            "ttlIsInherited": True,
            "tags": [],
            "historyStep": None,
            "state": artifact.state,
            "size": sum(map(len, artifact.files.values())),
            "digest": artifact.digest,
            "commitHash": "",
            "fileCount": len(artifact.files),
            "createdAt": _now(),
            "updatedAt": _now(),
            "aliases": aliases,
        }

    def _describe_membership(self, collection: Collection, artifact: Artifact) -> Json:
        return {
            "__typename": "ArtifactCollectionMembership",
            "id": _id(f"Membership:{collection.id}:{artifact.id}"),
            "versionIndex": collection.versions.index(artifact),
            "createdAt": _now(),
            "aliases": _aliases(collection, artifact),
            "artifactCollection": _describe_collection(collection),
            "artifact": self._describe(artifact),
        }


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _id(name: str) -> str:
    return base64.b64encode(name.encode()).decode()


def _project(entity: str, name: str) -> Json:
    owner = {"id": _id(f"Entity:{entity}"), "name": entity}
    return {"id": _id(f"Project:{entity}/{name}"), "internalId": _id("1"), "name": name, "entity": owner}


def _describe_collection(collection: Collection) -> Json:
    project = _project(collection.entity, collection.project)
    return {
        "__typename": collection.kind,
        "id": collection.id,
        "name": collection.name,
        "project": project,
    }


def _aliases(collection: Collection, artifact: Artifact) -> list[Json]:
    return [
        {"__typename": "ArtifactAlias", "id": _id(f"Alias:{collection.id}:{alias}"), "alias": alias}
        for alias, holder in collection.aliases.items()
        if holder is artifact
    ]


OPERATIONS: dict[str, Callable[[WandbServer, Json], Json]] = {
    "Viewer": WandbServer._viewer,
    "GetViewer": WandbServer._viewer,
    "GetDefaultEntity": WandbServer._viewer,
    "ServerFeaturesQuery": lambda _server, _v: {"serverInfo": {"features": []}},
    "XXHashDigestsEnabled": WandbServer._organization,
    "FetchOrgEntityFromEntity": WandbServer._organization,
    "FetchOrgInfoFromEntity": WandbServer._organization,
    "OrganizationCoreWeaveOrganizationID": WandbServer._organization,
    "IsProjectReadOnly": lambda _server, _v: {"project": {"readOnly": False}},
    "UpsertBucket": WandbServer._upsert_run,
    "RunResumeStatus": WandbServer._resume_status,
    "Run": WandbServer._run,
    "CreateRunFiles": WandbServer._run_files,
    "CreateArtifact": WandbServer._create_artifact,
    "CreateArtifactManifest": WandbServer._manifest,
    "UpdateArtifactManifest": WandbServer._manifest,
    "CreateArtifactFiles": WandbServer._artifact_files,
    "CommitArtifact": WandbServer._commit,
    "UseArtifact": WandbServer._use_artifact,
    "ArtifactType": WandbServer._artifact_type,
    "ArtifactMembershipByName": WandbServer._membership,
    "ArtifactByID": WandbServer._artifact_by_id,
    "FetchArtifactManifest": WandbServer._artifact_by_id,
    "ArtifactManifest": WandbServer._artifact_by_id,
    "ArtifactUsedBy": WandbServer._artifact_by_id,
    "ArtifactCreatedBy": WandbServer._artifact_by_id,
    "RunInputArtifacts": WandbServer._run_artifacts,
    "RunOutputArtifacts": WandbServer._run_artifacts,
    "GetArtifactMembershipFileUrls": WandbServer._file_urls,
    "ArtifactMembershipFiles": WandbServer._file_urls,
    "AddAliases": WandbServer._add_aliases,
    "DeleteAliases": WandbServer._delete_aliases,
    "UpdateArtifact": WandbServer._update_artifact,
    "LinkArtifact": WandbServer._link_artifact,
}
