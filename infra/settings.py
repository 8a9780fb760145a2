"""Settings: `FLOWLEDGER_*` variables, over a file (`FLOWLEDGER_CONFIG` or `--config`: TOML, YAML or JSON), over the defaults below.

A wrong or unknown setting is refused at the start with its name, what was expected and what was found.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    JsonConfigSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
    YamlConfigSettingsSource,
)

from flowledger.infra.variables import OTHERS, PREFIX, given, near

ROLES = ("api", "owner", "projector", "grpc", "connectors")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
MIB = 1024 * 1024
#: defaults of the profile `small`: 50 workflows at a time, on the one partition that it makes (docs/operations.md#the-profile-small)
SMALL: Mapping[str, Any] = {"partitions": 1, "instances_max": 50, "default_timeout_ms": 900_000, "default_retry": {"max_attempts": 3}}
#: of a page (RFC 6454), without a path: what a policy of frames may name
ORIGIN = re.compile(r"https?://(?:[a-z0-9-]+(?:\.[a-z0-9-]+)*|\[[0-9a-f:]+\])(?::\d{1,5})?")


class SettingsError(ValueError):
    """Settings that can't be used. The text has one line for each."""


class Settings(BaseSettings):
    """All that a process is told from outside. Each field is `FLOWLEDGER_<NAME>` in the environment."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    # --- where things are
    data: Path = Field(Path(".flowledger"), description="Folder of the embedded log and the embedded PostgreSQL")
    kafka: str = Field("", description="Bootstrap servers `host:port,...`; empty: the embedded log in `data`")
    postgres: str = Field("", description="URL of a PostgreSQL 15+; empty: the embedded one in `data`")
    row_security: Literal["off", "auto", "required"] = Field(
        "off",
        description="Read for a tenant by a role that the database shows no other's rows: auto where there is one, required always (lists by variables are slower)",
    )
    prefix: str = Field("flowledger", pattern=r"^[A-Za-z0-9._-]{1,100}$", description="Prefix of the Kafka topics")
    replication: int = Field(1, ge=1, le=9, description="Replicas of the topics when they are created")
    kafka_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="Protocol of the Kafka listener"
    )
    kafka_ca_file: str = Field("", description="Certificates (PEM) that the brokers' are checked against; empty: those of the system")
    kafka_cert_file: str = Field("", description="Own certificate (PEM) for brokers that ask for one")
    kafka_key_file: str = Field("", description="Its private key (PEM)")
    kafka_key_password: str = Field("", description="Password of that key: `file:PATH` or `env:NAME`")
    kafka_check_hostname: bool = Field(True, description="A broker's certificate must name its host")
    kafka_mechanism: Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = Field(
        "", description="How to sign in with SASL"
    )
    kafka_user: str = Field("", description="User of PLAIN and SCRAM")
    kafka_password: str = Field("", description="Their password: `file:PATH` or `env:NAME`")
    kafka_token: str = Field("", description="Token of OAUTHBEARER: `file:PATH` (read again for each connection) or `env:NAME`")
    partitions: int = Field(4, ge=1, le=1024, description="Partitions, when the log is created")

    # --- who this process is
    roles: Annotated[tuple[str, ...], NoDecode] = Field(("api", "owner", "projector"), description=f"Some of {', '.join(ROLES)}")
    node: str = Field(default_factory=socket.gethostname, description="Name of this process in claims, logs and metrics")

    owner_processes: int = Field(0, ge=0, le=64, description="Processes for the owners of partitions; 0: as the cores allow, at least one")
    link: str = Field("", description="Folder of the sockets between doors and owners on this machine; empty: `run` in `data`")

    # --- who may come in (docs/security.md)
    profile: Literal["", "secure", "small"] = Field(
        "",
        description="secure: the start is refused where anything would be plain text, believed unasked, or a password that everybody knows; "
        "small: other defaults, for one machine and a few workflows",
    )
    stack_traces: Literal["", "keep", "drop"] = Field(
        "",
        description="Stack traces that workers send with a failure: keep, or drop before anything is written; empty: drop in the profile secure, else keep",
    )
    auth: Literal["none", "local", "oidc"] = Field(
        "none",
        description="Sign-in. none: callers name themselves, on loopback only; local: users with passwords, and API keys; oidc: these, and issuers of OpenID Connect",
    )
    oidc_file: str = Field("", description="With auth oidc: file of the issuers (TOML, YAML or JSON)")
    people_file: str = Field(
        "",
        description="With sign-in: file of what groups may do, of a directory that speaks LDAP, and of clients' certificates (TOML, YAML or JSON)",
    )
    session_hours: float = Field(12, gt=0, le=24 * 31, description="How long a sign-in to the console lasts at most, hours")
    session_idle_minutes: float = Field(30, gt=0, le=60 * 24 * 31, description="A session that nobody uses for so long is over, minutes")
    key_days_max: float = Field(366, gt=0, le=3_660, description="Longest life of an API key, days")
    metrics_open: bool = Field(
        False, description="With sign-in: /metrics is answered to whoever asks. Otherwise it needs the right metrics:read"
    )

    # --- how often who may ask, on each process with a door (docs/security.md)
    rate_per_address: float = Field(
        0, ge=0, le=1_000_000, description="Requests a second from one address, HTTP and gRPC together; twice as many at once. 0: no limit"
    )
    rate_per_caller: float = Field(
        0,
        ge=0,
        le=1_000_000,
        description="Requests a second of one caller: a user, an API key, an identity of an issuer; twice as many at once. 0: no limit",
    )
    rate_per_tenant: float = Field(
        0, ge=0, le=1_000_000, description="Requests a second for one tenant, of all its callers; twice as many at once. 0: no limit"
    )
    connections_per_address: int = Field(0, ge=0, le=1_000_000, description="Open connections of one address. 0: no limit")
    sign_in_failures: int = Field(
        60, ge=0, le=100_000, description="Sign-ins of one address that may fail in a minute, whatever names they try. 0: no limit"
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Addresses and networks of proxies whose X-Forwarded-For says which address asks; empty: nobody is believed"
    )

    # --- HTTP
    host: str = Field(
        "127.0.0.1", description="Address to listen on. Anything but loopback opens the server to the network, and needs sign-in"
    )
    port: int = Field(8080, ge=0, le=65535, description="HTTP port; 0: any free one")
    tls_cert_file: str = Field("", description="Certificate chain (PEM) of the HTTP port; empty: plain text")
    tls_key_file: str = Field("", description="Its private key (PEM); empty: it stands in the certificate's file")
    tls_key_password: str = Field("", description="Password of that key: `file:PATH` or `env:NAME`")
    tls_client_ca_file: str = Field("", description="Certificates (PEM) that a client's must be signed by; empty: clients need none")
    tls_client_crl_file: str = Field(
        "",
        description="Lists of revoked certificates (PEM), one of each authority of tls_client_ca_file; then TLS 1.3 alone. Empty: none is looked at",
    )
    tls_clients: Literal["required", "optional"] = Field(
        "required",
        description="With tls_client_ca_file: whether a client must show a certificate, or may (browsers, and who shows something else)",
    )
    second_person: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Operations, by their names in the log of operations (erase_subject, put_retention ...), that need a second person's approval",
    )
    second_person_hours: float = Field(24, gt=0, le=24 * 31, description="An approval that nobody uses for so long is over, hours")
    step_up: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Operations, by their names in the log of operations, that take a fresh proof by a passkey (docs/security.md)"
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field((), description="Names that requests may use (empty on loopback: its names)")
    origins: Annotated[tuple[str, ...], NoDecode] = Field((), description="Other web origins that may call it from a browser")
    embed_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Web origins whose pages may show the console in a frame, and give it the token of who looks (docs/console.md)"
    )
    body_bytes_max: int = Field(16 * MIB, ge=1024, description="Largest request body, bytes")
    page_max: int = Field(1000, ge=1, le=100_000, description="Largest page of a list")
    wait_ms_max: int = Field(60_000, ge=0, description="Longest wait of a long poll or of `wait_for`, milliseconds")
    command_timeout_ms: int = Field(30_000, ge=1, description="How long a command's answer is waited for, milliseconds")
    fresh_ms: int = Field(2_000, ge=0, description="How long a read of an unknown key waits for a projection that is behind, milliseconds")
    subscribers_max: int = Field(1_000, ge=1, description="Open event subscriptions (SSE and WebSocket)")
    subscription_s_max: float = Field(
        0,
        ge=0,
        description="Longest life of one, seconds; its client comes back with its last cursor and misses nothing. 0: as long as it likes",
    )
    tasks_topic: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Job types whose jobs go to the Kafka topic `PREFIX.tasks`, `TYPE` or `TENANT/TYPE` each; by processes with the role api",
    )
    grpc_port: int = Field(26500, ge=0, le=65535, description="Port of the Zeebe gateway protocol")
    grpc_cert_file: str = Field("", description="Certificate chain (PEM) of the gateway; empty: plain text")
    grpc_key_file: str = Field("", description="Its private key (PEM); empty: it stands in the certificate's file")
    grpc_key_password: str = Field("", description="Password of that key: `file:PATH` or `env:NAME`")
    grpc_client_ca_file: str = Field("", description="Certificates (PEM) that a client's must be signed by; empty: clients need none")
    grpc_client_crl_file: str = Field("", description="Lists of revoked certificates (PEM): as tls_client_crl_file")
    grpc_clients: Literal["required", "optional"] = Field("required", description="With grpc_client_ca_file: as tls_clients")

    # --- connectors, and whatever else calls out (docs/connectors.md)
    secrets: Annotated[tuple[str, ...], NoDecode] = Field(
        ("env",), description="Who is asked for secrets, in this order: env, folder:PATH, file:PATH (encrypted), vault:URL/MOUNT/PATH"
    )
    secrets_key: str = Field("", description="Key of the encrypted file of secrets: `file:PATH` or `env:NAME`")
    secrets_vault_token: str = Field("", description="Token of Vault or OpenBao: `file:PATH` (read again for each request) or `env:NAME`")
    egress_allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Where calls may go: `[scheme://]host[:port]`, host a name, *.name, an address or a network; empty: any public address",
    )
    egress_private: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Places, written alike, that may have private or loopback addresses; link-local and metadata ones by address only"
    )
    egress_proxy: str = Field("", description="HTTP proxy that all calls go through: http://host:port")
    egress_ca_file: str = Field("", description="Certificates (PEM) that servers are checked against; empty: those of the system")
    connector_calls: int = Field(64, ge=1, le=10_000, description="Calls of one connector at a time, in one process")
    connector_answer_bytes_max: int = Field(MIB, ge=1024, le=4 * MIB, description="Largest answer that a connector takes, bytes")
    connector_timeout_s: float = Field(
        300, gt=0, le=3600, description="Longest time that a call may take, whatever the model says, seconds"
    )
    connector_tenants: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Tenants whose jobs the connectors take as well as those of none"
    )
    plugins: Annotated[tuple[str, ...], NoDecode] = Field(
        ("all",), description="Installed distributions whose plug-ins are taken (docs/plugins.md): names, all, or none"
    )

    # --- files of tasks and instances (docs/files.md)
    blobs: str = Field(
        "",
        description="Where files are kept: folder:PATH, s3:ADDRESS/BUCKET/PREFIX, or NAME:WHERE of a plug-in; empty: folder `data`/blobs",
    )
    blobs_region: str = Field(
        "us-east-1", pattern=r"^[a-z0-9-]{1,64}$", description="Region of the bucket of files, as the service names it"
    )
    blobs_access_key: str = Field("", description="Id of the key to the bucket of files")
    blobs_secret: str = Field("BLOBS", description="Name of the secret that is the key to the bucket of files")
    blob_bytes_max: int = Field(100 * MIB, ge=1024, description="Largest file, bytes")
    blobs_max: int = Field(100_000, ge=1, description="Files of one tenant")
    blob_hours: float = Field(24, ge=0.01, le=24 * 366, description="A file that nothing refers to is deleted after so many hours")

    retention_minutes: float = Field(
        60,
        ge=0.01,
        le=60 * 24 * 31,
        description="How often is looked for what has been kept for long enough by rules of retention, minutes",
    )
    retention_step: int = Field(200, ge=1, le=1_000, description="Instances, and keys, that one step of a rule looks at")
    retention_grace_minutes: float = Field(
        60,
        ge=1,
        le=60 * 24 * 366,
        description="A key that seals nothing more that is needed is destroyed after so many minutes, during which nothing is sealed under it",
    )

    trigger_folders: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Folders whose files, and those of folders below, triggers may read (docs/triggers.md)"
    )
    callback_key: str = Field(
        "",
        description="File of the keys that sign one-time addresses, readable by its owner alone; empty: `data`/keys/callback.keys, made at first",
    )
    callback_url: str = Field(
        "", description="Address of this server as those outside reach it, for one-time addresses; empty: http://HOST:PORT of this process"
    )

    # --- durability and limits of the owner
    durability: Literal["full", "normal"] = Field("full", description="Embedded log: full syncs each group commit to the disk")
    batch_max: int = Field(512, ge=1, description="Commands decided in one group at most")
    ids_hours: float = Field(24, gt=0, le=24 * 366, description="How long an Idempotency-Key is remembered, in hours")
    hold: bool = Field(False, description="Start in hold: everything is suspended until `flowledger release`")
    default_retry: dict[str, Any] = Field(
        {},
        description="Retry policy (JSON, words of `flowledger:retry`) of tasks of workers for which neither model nor task definition says anything; empty: 3 attempts",
    )
    default_timeout_ms: int = Field(
        0,
        ge=0,
        le=315_360_000_000,
        description="The longest that a worker may take for an attempt, however long it asks for, where no task definition says it, milliseconds; 0: no limit",
    )
    instances_max: int = Field(0, ge=0, description="Running instances per partition (0: no limit); more of them wait as pending")
    state_validation: bool = Field(
        True, description="Business states keep to the moves that their model declares; False: they are set as they come"
    )
    snapshots: bool = Field(
        True,
        description="Owners write checkpoints of their state, so that the next one folds only what came after; False: it folds all of the log",
    )
    history_max: int = Field(
        1_000, ge=1, le=100_000, description="Entries of each list of what was that one instance's answer carries; the log keeps all"
    )

    # --- the ledger's proof (docs/audit.md)
    signing_key: str = Field(
        "",
        description="File of the Ed25519 key that signs heads of the log; empty: `data`/keys/ledger.pem, made at first (with Kafka: none); none: not signed",
    )
    protect_key: str = Field(
        "",
        description="Keys that wrap those of protected variables: `file:PATH`, `env:NAME`, `vault:URL/MOUNT/KEY`, `kms:REGION/KEY`, several with "
        "spaces between: the first one wraps, any unwraps; empty: `data`/keys/protect.keys, made at first (with Kafka: none); none",
    )
    protect_vault_token: str = Field(
        "", description="Token for the transit engine that protect_key names: `file:PATH` or `env:NAME`; empty: secrets_vault_token"
    )
    protect_aws_key: str = Field(
        "", description="`file:PATH` or `env:NAME` of what KMS is asked with: ACCESS_KEY SECRET_KEY and, where there is one, SESSION_TOKEN"
    )
    protect_kms_endpoint: str = Field("", description="https://HOST:PORT of what speaks as KMS does; empty: that of AWS for the region")
    head_groups: int = Field(1_000, ge=1, description="Groups between two signed heads of a partition")
    head_s: float = Field(5.0, gt=0, description="Longest time that a group waits for a signed head, seconds")
    anchors: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Places outside of the log that keep its heads: file:PATH or a URL that takes a POST; empty: file `data`/heads.jsonl",
    )
    anchor_token_file: str = Field("", description="File with the bearer token for anchors by HTTP")

    # --- seen from outside
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severe record that is written")
    log_file: str = Field("", description="File that records are appended to; empty: stderr")
    access_log: Literal["none", "errors", "all"] = Field(
        "errors", description="Requests that are logged: none, those that failed here, all"
    )
    log_format: Literal["auto", "console", "json"] = Field("auto", description="auto: console on a terminal, else JSON")
    otlp_endpoint: str = Field("", description="OpenTelemetry collector (OTLP over HTTP); empty: no traces")
    trace_sample: float = Field(1.0, ge=0, le=1, description="Share of traces that begin here and are kept")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Nothing but what is given: `load` asks the sources, so that each value's origin is known."""
        return (init_settings,)

    @field_validator(
        "roles",
        "second_person",
        "step_up",
        "hosts",
        "origins",
        "embed_origins",
        "anchors",
        "tasks_topic",
        "secrets",
        "egress_allow",
        "egress_private",
        "connector_tenants",
        "plugins",
        "trigger_folders",
        "trusted_proxies",
        mode="before",
    )
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return tuple(x.strip() for x in value.split(",") if x.strip()) if isinstance(value, str) else value

    @field_validator("embed_origins")
    @classmethod
    def _each_is_an_origin(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        """They go into the policy of pages as they are: a name with a star or a path would say more, or something else."""
        if wrong := [one for one in value if not ORIGIN.fullmatch(one)]:
            raise ValueError(f"expected origins like https://portal.example.com, found {', '.join(map(repr, wrong))}")
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _each_is_a_network(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            try:
                ipaddress.ip_network(one, strict=False)
            except ValueError:
                raise ValueError(f"expected addresses and networks like 10.0.0.0/8, found {one!r}") from None
        return value

    @field_validator("roles")
    @classmethod
    def _known_roles(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [r for r in value if r not in ROLES]:
            raise ValueError(f"unknown role {', '.join(wrong)}; known are {', '.join(ROLES)}")
        if not value:
            raise ValueError(f"at least one role of {', '.join(ROLES)}")
        return value

    @field_validator("default_retry")
    @classmethod
    def _a_policy(cls, value: dict[str, Any]) -> dict[str, Any]:
        from flowledger.kernel.retries import normalise  # clients that only read settings don't load the kernel

        if wrong := normalise(value)[1]:
            raise ValueError("; ".join(wrong))
        return value

    @property
    def keeps_stack_traces(self) -> bool:
        """For development; a server in production shows nobody where the code was."""
        return self.stack_traces == "keep" or (not self.stack_traces and self.profile != "secure")

    @property
    def loopback(self) -> bool:
        """Only this machine can reach it."""
        try:
            return self.host in LOOPBACK or ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


class _Environment(EnvSettingsSource):
    """The variables of a given environment."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = environment
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return {k.lower(): v for k, v in self._given.items()}


_FILES = {".yaml": YamlConfigSettingsSource, ".yml": YamlConfigSettingsSource, ".json": JsonConfigSettingsSource}


def load(path: str | Path | None = None, environment: Mapping[str, str] | None = None, **options: Any) -> Settings:
    """Settings of the file, the environment and `options` (not None), the later ones winning.

    Raises:
        SettingsError: a file that can't be read, an unknown name, a wrong value.
    """
    return traced(path, environment, **options)[0]


def traced(path: str | Path | None = None, environment: Mapping[str, str] | None = None, **options: Any) -> tuple[Settings, dict[str, str]]:
    """As `load`, and where each of them comes from: `default`, `file PATH`, the name of a variable, `option`."""
    env = os.environ if environment is None else environment
    path = path or env.get(PREFIX + "CONFIG") or None
    names = list(Settings.model_fields)
    known = [n.upper() for n in names] + list(OTHERS)
    strange = [k for k in given(env) if k.upper().removeprefix(PREFIX) not in known]
    unknown = [_unknown(k, "the environment", PREFIX + near(k.upper().removeprefix(PREFIX), known)) for k in strange]
    file = _from_file(Path(path)) if path else {}
    unknown += [_unknown(k, str(path), near(k, names)) for k in file if k not in names]
    if unknown:
        raise SettingsError("\n".join(unknown))
    from_env = _Environment(env)()
    from_options = {k: v for k, v in options.items() if v is not None}
    told = {**file, **from_env, **from_options}
    profile = SMALL if told.get("profile") == "small" else {}
    where = dict.fromkeys(names, "default") | dict.fromkeys(profile, "profile small") | dict.fromkeys(file, f"file {path}")
    where |= {k: PREFIX + k.upper() for k in from_env} | dict.fromkeys(from_options, "option")
    try:
        return Settings(**{**profile, **told}), where
    except ValidationError as wrong:
        lines = []
        for e in wrong.errors():
            name = ".".join(map(str, e["loc"])) or "?"
            lines.append(f"setting {name} ({where.get(str(e['loc'][0]), '?') if e['loc'] else '?'}): {e['msg']}; found {e['input']!r}")
        raise SettingsError("\n".join(lines)) from None


def _unknown(found: str, where: str, meant: str) -> str:
    return f"unknown setting {found} in {where}" + (f"; did you mean {meant}?" if meant.removeprefix(PREFIX) else "")


def _from_file(path: Path) -> dict[str, Any]:
    if not path.is_file():  # the library's sources take a file that lacks for an empty one
        raise SettingsError(f"settings file {path}: {'a file was expected' if path.exists() else 'No such file or directory'}")
    try:
        return dict(_FILES.get(path.suffix, TomlConfigSettingsSource)(Settings, path)())
    except OSError as e:
        raise SettingsError(f"settings file {path}: {e.strerror}") from None
    except Exception as e:  # noqa: BLE001 - three parsers, three kinds of errors
        raise SettingsError(f"settings file {path}: a table of names and values was expected: {e}") from None
