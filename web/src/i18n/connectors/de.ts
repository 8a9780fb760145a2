import { calls } from "./de-calls";
import { messages } from "./de-messages";
import { stores } from "./de-stores";

/** Names that are the same in both languages; tests/console/test_console_connector_texts.py wants each text of a connector here or there. */
export const SAME = [
  "HTTP/REST", "URL", "Token", "Name", "GraphQL", "Operation", "OpenAPI", "Server", "SOAP", "WS-Security", "WSDL", "Port", "SQL", "Host", "TLS", "Snowflake", "Schema", "Warehouse", "MongoDB",
  "Filter", "Pipeline", "Text", "HTML", "Webhook", "SASL", "Topic", "Partition", "Exchange", "NAME.servicebus.windows.net", "Redis", "S3", "Region", "Bucket", "Version", "Azure Functions",
  "JavaScript", "System", "Repository", "Format", "AWS Lambda", "Agent",
]; // prettier-ignore

/** What connectors are called and say of themselves, and their element templates, by the server's words. */
export const connectors: Record<string, string> = { ...calls, ...messages, ...stores };
