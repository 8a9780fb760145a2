"""Which connectors there are."""

from __future__ import annotations

from flowledger.connectors.agent.config import AgentConfig
from flowledger.connectors.agent.connector import AgentConnector
from flowledger.connectors.amqp10.config import AmqpConfig, ServiceBusConfig
from flowledger.connectors.amqp10.connector import AmqpConnector, ServiceBusConnector
from flowledger.connectors.azure_functions import AzureFunctionsConfig, AzureFunctionsConnector
from flowledger.connectors.document import DocumentConfig, DocumentConnector
from flowledger.connectors.frame import Config, Connector
from flowledger.connectors.functions import LambdaConfig, LambdaConnector
from flowledger.connectors.git.config import GitConfig
from flowledger.connectors.google.pubsub import PubSubConfig, PubSubConnector
from flowledger.connectors.google.tasks import CloudTasksConfig, CloudTasksConnector
from flowledger.connectors.graphql import GraphQLConfig
from flowledger.connectors.http.config import HttpConfig
from flowledger.connectors.ibmmq import IbmMqConfig, IbmMqConnector
from flowledger.connectors.javascript import JavaScriptConfig, JavaScriptConnector
from flowledger.connectors.kafka import KafkaConfig, KafkaConnector
from flowledger.connectors.llm import LlmConfig, LlmConnector
from flowledger.connectors.mail import MailConfig, MailConnector
from flowledger.connectors.mcp import McpConfig, McpConnector
from flowledger.connectors.mongodb.config import MongoConfig
from flowledger.connectors.notify import NotifyConfig, NotifyConnector
from flowledger.connectors.openapi.config import OpenApiConfig
from flowledger.connectors.rabbitmq import RabbitConfig, RabbitConnector
from flowledger.connectors.redis import RedisConfig, RedisConnector
from flowledger.connectors.report import ReportConfig, ReportConnector
from flowledger.connectors.s3 import S3Config, S3Connector
from flowledger.connectors.snowflake.connector import SnowflakeConfig, SnowflakeConnector
from flowledger.connectors.sns import SnsConfig, SnsConnector
from flowledger.connectors.soap.config import SoapConfig
from flowledger.connectors.sql.config import SqlConfig
from flowledger.connectors.sqs import SqsConfig, SqsConnector
from flowledger.kernel.model.connectors import ALIASES, PREFIX

#: name -> configuration: what models are checked by, and templates made of; a job type is `flowledger:NAME`
CONFIGS: dict[str, type[Config]] = {
    "http": HttpConfig,
    "graphql": GraphQLConfig,
    "openapi": OpenApiConfig,
    "soap": SoapConfig,
    "sql": SqlConfig,
    "snowflake": SnowflakeConfig,
    "mongodb": MongoConfig,
    "email": MailConfig,
    "notify": NotifyConfig,
    "kafka": KafkaConfig,
    "rabbitmq": RabbitConfig,
    "amqp": AmqpConfig,
    "servicebus": ServiceBusConfig,
    "ibmmq": IbmMqConfig,
    "redis": RedisConfig,
    "s3": S3Config,
    "sqs": SqsConfig,
    "sns": SnsConfig,
    "lambda": LambdaConfig,
    "azure-functions": AzureFunctionsConfig,
    "pubsub": PubSubConfig,
    "cloudtasks": CloudTasksConfig,
    "javascript": JavaScriptConfig,
    "llm": LlmConfig,
    "agent": AgentConfig,
    "mcp": McpConfig,
    "git": GitConfig,
    "document": DocumentConfig,
    "report": ReportConfig,
}

#: those of plug-ins (`flowledger.plugins`); their configurations stand in `CONFIGS`, too
FOREIGN: list[Connector] = []


def name_of(job_type: str) -> str:
    """The connector that serves a job type; empty: none of ours."""
    name = ALIASES.get(job_type, job_type).removeprefix(PREFIX)
    return name if name in CONFIGS else ""


def connectors() -> tuple[Connector, ...]:
    """Those that work; what they need is loaded here."""
    from flowledger.connectors.git.connector import GitConnector
    from flowledger.connectors.graphql import GraphQLConnector
    from flowledger.connectors.http.connector import HttpConnector
    from flowledger.connectors.mongodb.connector import MongoConnector
    from flowledger.connectors.openapi.connector import OpenApiConnector
    from flowledger.connectors.soap.connector import SoapConnector
    from flowledger.connectors.sql.connector import SqlConnector

    return (
        HttpConnector(),
        GraphQLConnector(),
        OpenApiConnector(),
        SoapConnector(),
        SqlConnector(),
        SnowflakeConnector(),
        MongoConnector(),
        MailConnector(),
        NotifyConnector(),
        KafkaConnector(),
        RabbitConnector(),
        AmqpConnector(),
        ServiceBusConnector(),
        IbmMqConnector(),
        RedisConnector(),
        S3Connector(),
        SqsConnector(),
        SnsConnector(),
        LambdaConnector(),
        AzureFunctionsConnector(),
        PubSubConnector(),
        CloudTasksConnector(),
        JavaScriptConnector(),
        LlmConnector(),
        AgentConnector(),
        McpConnector(),
        GitConnector(),
        DocumentConnector(),
        ReportConnector(),
        *FOREIGN,
    )
