/* Maintenance windows: when actions of an impact may begin. Pure: the time is given, in microseconds
 * since 1970. */
#pragma once
#include "reconciler/plan/plan.h"

/* Whether actions of this impact wait: some window names it, and none of those is open. Then
 * ret_window (may be NULL) is the one that opens next, and ret_opens when. */
gboolean windows_hold(const GPtrArray *windows /* of WindowSpec *; may be NULL */, Impact impact, gint64 now,
                      const WindowSpec **ret_window, gint64 *ret_opens);
/* "2026-11-21 22:00 CET", as the window's people say it. */
char *window_time_text(const WindowSpec *window, gint64 time);
