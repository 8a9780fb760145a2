"""The named limits of the kernel. Each is tested at its edge."""

#: tokens that one command may move before it goes on in a follow-up command
STEPS_MAX = 300
#: runs of a multi-instance body that are spawned at once
SPAWN_MAX = 200
#: bytes of a model
MODEL_BYTES_MAX = 16 * 1024 * 1024
#: bytes of the variables of one command, as JSON
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
#: bytes of the answers that a partition remembers by callers' ids; above it the oldest are forgotten before their time
ANSWERS_BYTES_MAX = 64 * 1024 * 1024
#: depth of called instances
CALL_DEPTH_MAX = 100
#: items of a multi-instance collection
ITEMS_MAX = 1_000_000
#: longest message time to live, milliseconds (ten years)
TTL_MS_MAX = 315_360_000_000
#: steps an expression may take
EXPRESSION_STEPS_MAX = 1_000_000
