"""Which findings about decision models the standard itself forbids: the second mark of a finding."""

from __future__ import annotations

#: what DMN 1.5 forbids, whether or not the model can be evaluated: code -> chapter
STANDARD = {
    "BAD_EXPRESSION": "10.3.1.2",
    "REFERENCE_MISSING": "6.3.4",
    "REFERENCE_WRONG": "6.3.4",
    "CIRCULAR": "6.2.2, 6.3.4",
    "TYPE_UNKNOWN": "7.3.2",
    "TYPE_CIRCULAR": "7.3.2",
    "TYPE_TWICE": "7.3.2",
    "NAME_MISSING": "6.3.1, DMN15.xsd",
    "NAME_TWICE": "6.3.1",
    "IMPORT_NAME": "6.3.3",
    "ID_TWICE": "DMN15.xsd, xsd:ID",
    "HIT_POLICY_UNKNOWN": "8.2.10",
    "AGGREGATION_UNKNOWN": "8.2.10",
    "PRIORITY_MISSING": "8.2.10",
    "RULES_OVERLAP": "8.2.10",
    "OUTPUT_MISSING": "8.3.1",
    "OUTPUT_UNNAMED": "8.3.2",
    "OUTPUT_NOT_ALLOWED": "8.3.2",
    "RULE_MALFORMED": "8.3.3",
}
