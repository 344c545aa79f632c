/* limit.c: see limit.h. */
#include "broadcaster/limit.h"

#include "broadcaster/conf.h"
#include "broadcaster/dead.h"
#include "broadcaster/followers.h"
#include "broadcaster/intake.h"
#include "broadcaster/lane_marks.h"
#include "broadcaster/lookback.h"
#include "broadcaster/mail.h"
#include "broadcaster/moves.h"
#include "broadcaster/partition.h"
#include "broadcaster/waiting.h"
#include "common/admin.h"
#include "common/mq.h"

static const struct limit_row rows[OWNER_LIMITS] = {
#define LIMIT(name, ...) LIMIT_ROW_SETTING(__VA_ARGS__),
#define SHARE(name, ...) LIMIT_ROW_SHARE(__VA_ARGS__),
#define FIXED(name, ...) LIMIT_ROW_FIXED(__VA_ARGS__),
#define LOGGED(name, ...) LIMIT_ROW_LOGGED(__VA_ARGS__),
#include "broadcaster/limit.def"
};

const struct limit_table broadcaster_limits = {
    rows, OWNER_LIMITS, "warren_broadcaster_limits_met_total", broadcaster_conf_default};
