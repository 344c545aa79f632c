/*
 * limit.c: see limit.h.
 */
#include "gateway/limit.h"

#include "common/admin.h"
#include "common/mq.h"
#include "gateway/api/api.h"
#include "gateway/bus/questions.h"
#include "gateway/bus/surveys.h"
#include "gateway/conf.h"
#include "gateway/edge/conn.h"
#include "gateway/hook/asking.h"
#include "gateway/order/standing.h"
#include "gateway/room/rooms_internal.h"
#include "gateway/session/notices.h"
#include "gateway/session/session.h"
#include "gateway/token/claims.h"
#include "gateway/token/revoked.h"
#include "gateway/ws/extension.h"
#include "proto/command.h"

static const struct limit_row rows[LIMIT_COUNT] = {
#define LIMIT(name, ...) LIMIT_ROW_SETTING(__VA_ARGS__),
#define SHARE(name, ...) LIMIT_ROW_SHARE(__VA_ARGS__),
#define FIXED(name, ...) LIMIT_ROW_FIXED(__VA_ARGS__),
#define LOGGED(name, ...) LIMIT_ROW_LOGGED(__VA_ARGS__),
#include "gateway/limit.def"
};

const struct limit_table gateway_limits = {rows, LIMIT_COUNT, "warren_gateway_limits_met_total",
                                           gateway_conf_default};
