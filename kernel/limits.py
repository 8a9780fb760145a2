"""The named limits of the kernel. Each is tested at its edge."""

#: tokens that one command may move before it goes on in a follow-up command
STEPS_MAX = 300
#: runs of a multi-instance body that are spawned at once
SPAWN_MAX = 200
#: runs of one parallel multi-instance body at the same time; the others follow as these end
RUNS_MAX = 20_000
#: bytes of a model
MODEL_BYTES_MAX = 16 * 1024 * 1024
#: decision models that one is made of with all that they import, itself among them; how many stand one above the other; their bytes
DMN_MODELS_MAX = 100
DMN_DEPTH_MAX = 20
DMN_BYTES_MAX = 32 * 1024 * 1024
#: bytes of the variables of one command, as JSON
PAYLOAD_BYTES_MAX = 4 * 1024 * 1024
#: bytes of a dead letter that are kept, and dead letters that are open on a partition
LETTER_BYTES_MAX = 64 * 1024
LETTERS_MAX = 1_000
#: bytes of the answers that a partition remembers by callers' ids; above it the oldest are forgotten before their time
ANSWERS_BYTES_MAX = 64 * 1024 * 1024
#: bytes of the state of one instance, as its checkpoint has it
INSTANCE_BYTES_MAX = 12 * 1024 * 1024
#: an instance is weighed when so many bytes of events came since the last time
WEIGH_BYTES = 1024 * 1024
#: levels of nesting of a JSON value
DEPTH_MAX = 100
#: bytes of one event as it is written, where the log takes no less
EVENT_BYTES_MAX = 16 * 1024 * 1024 - 1_024
#: events, and bytes of them, after which a decision goes on in a follow-up command
EVENTS_MAX = 4_000
BYTES_MAX = 8 * 1024 * 1024
#: sends of a decision to its own partition that are done in its step; the rest is put off (`kernel/putoff.py`)
FOLLOW_UPS_MAX = 10_000
#: of them, the first so many are not weighed; the bytes of all others count while they wait
FOLLOW_UPS_FREE = 8
#: tokens that a batch (timers that are due, a signal, ...) may move before its instances go on in follow-ups of their own
BATCH_STEPS_MAX = 3_000
#: characters of a name that the model or a caller gives: job type, message name, correlation key, error code ...
NAME_MAX = 4_096
#: characters of what a definition or an instance is called, and of a version tag: as wide as the columns of their rows
TITLE_MAX = 255
VERSION_TAG_MAX = 50
#: characters of a text for people that a caller gives: a reason, the message of an error
PROSE_MAX = 65_536
#: items of a list in a command: keys of tasks, ids of elements
LIST_MAX = 10_000
#: attempts of a task
RETRIES_MAX = 1_000_000
#: characters that a task shows of what it is about
REFERENCE_MAX = 255
#: depth of called instances
CALL_DEPTH_MAX = 100
#: items of a multi-instance collection
ITEMS_MAX = 1_000_000
#: longest message time to live, milliseconds (ten years)
TTL_MS_MAX = 315_360_000_000
#: longest lease of a task, milliseconds (ten years)
LEASE_MS_MAX = 315_360_000_000
#: steps an expression may take
EXPRESSION_STEPS_MAX = 1_000_000
#: steps of all expressions of one decision
FEEL_STEPS_MAX = 1_000_000
#: bytes of what one message, or the variables of one look at conditions, may give to all whom it reaches on a partition together: it is one decision
FAN_OUT_BYTES_MAX = 64 * 1024 * 1024
#: items of a batch, and batches that have not ended, on a partition
BATCH_ITEMS_MAX = 1_000_000
BATCHES_MAX = 1_000
#: items of a batch that one record carries, and that its home does in one decision; and how many records are under way at once: one for each partition, within
#: these bounds. Others' commands stand behind no more than one of them.
BATCH_SEND_MAX = 15
BATCH_RECORDS_MIN, BATCH_RECORDS_MAX = 2, 40
#: items that a door brings at once with what they need, and bytes of what one needs, as JSON
BATCH_PREPARE_MAX = 10
BATCH_PREPARED_BYTES_MAX = 512 * 1024
#: items a second that may be asked for
BATCH_RATE_MAX = 100_000
#: bytes of the parameters of a batch, and of its filter, as JSON
BATCH_PARAMS_BYTES_MAX = 256 * 1024
#: of a trigger: keys that it remembers and how long (days), items of one command and bytes of one, parked items and bytes of one that is kept, places
TRIGGER_KEYS_MAX = 100_000
TRIGGER_KEY_DAYS_MAX = 366
TRIGGER_ITEMS_MAX = 100
TRIGGER_ITEM_BYTES_MAX = 1_100_000
TRIGGER_PARKED_MAX = 1_000
TRIGGER_PARKED_BYTES_MAX = 256 * 1024
TRIGGER_PLACES_MAX = 10_000
#: triggers at home on one partition
TRIGGERS_MAX = 100_000
#: of a webhook: events that wait to be sent again, dead letters, and rows of its log; webhooks at home on one partition
WEBHOOK_WAITING_MAX = 1_000
WEBHOOK_DEAD_MAX = 1_000
WEBHOOK_LOG_MAX = 5_000
WEBHOOKS_MAX = 500
#: of its record: secrets, types and definitions, characters of its address and filter
WEBHOOK_SECRETS_MAX = 5
WEBHOOK_LIST_MAX = 100
WEBHOOK_TEXT_MAX = 2_048
#: of alerts: at home on one partition, groups of one that fire at once, times of maintenance, rows of its log, days of a silence
ALERTS_MAX = 500
ALERT_FIRING_MAX = 200
ALERT_MAINTENANCE_MAX = 20
ALERT_LOG_MAX = 5_000
ALERT_SILENCE_DAYS_MAX = 366
