/* The plan as a JSON value, for the report that adds results to it. */
#pragma once
#include <jansson.h>
#include "reconciler/plan/plan.h"

json_t *plan_json(const Plan *plan);
/* A JSON string of any bytes: what isn't UTF-8 is replaced. NULL becomes null. */
json_t *json_text(const char *text);
/* A time in UTC, from microseconds since 1970; 0 becomes null. */
json_t *json_time(gint64 microseconds);

#define PLAN_ERROR (plan_error_quark())
GQuark plan_error_quark(void);
typedef enum { PLAN_ERROR_SYNTAX, PLAN_ERROR_VERSION, PLAN_ERROR_INVALID } PlanError;
