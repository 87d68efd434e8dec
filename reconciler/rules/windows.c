#include "reconciler/rules/windows.h"

#include "schema/configuration.h"

static GTimeZone *zone_of(const WindowSpec *window) {
  GTimeZone *zone = given(window, WindowSpec, timezone) ? g_time_zone_new_identifier(window->timezone) : NULL;
  return zone ? zone : g_time_zone_new_local();
}

static gboolean opens_on(const WindowSpec *window, const GDateTime *day) {
  const char *word = Weekday_words.words[g_date_time_get_day_of_week((GDateTime *)day) - 1];
  return !given(window, WindowSpec, days) || g_strv_contains((const char *const *)window->days, word);
}

static gint64 microseconds(GDateTime *time) { return g_date_time_to_unix(time) * G_USEC_PER_SEC; }

/* The opening of the day that is `days` after the one of `now`; FALSE: it doesn't open then. By the
 * calendar of the zone, so that it is right on days with 23 or 25 hours too. */
static gboolean opening(const WindowSpec *window, gint64 now, int days, gint64 *ret_opens, gint64 *ret_closes) {
  guint from = 0, to = 0;
  time_of_day_parse(window->from, &from);
  time_of_day_parse(window->to, &to);
  g_autoptr(GTimeZone) zone = zone_of(window);
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(now / G_USEC_PER_SEC);
  g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, zone);
  g_autoptr(GDateTime) day = g_date_time_add_days(local, days), after = g_date_time_add_days(local, days + (to <= from));
  g_autoptr(GDateTime) opens = g_date_time_new(zone, g_date_time_get_year(day), g_date_time_get_month(day),
                                               g_date_time_get_day_of_month(day), (gint)from / 60, (gint)from % 60, 0);
  g_autoptr(GDateTime) closes = g_date_time_new(zone, g_date_time_get_year(after), g_date_time_get_month(after),
                                                g_date_time_get_day_of_month(after), (gint)to / 60, (gint)to % 60, 0);
  *ret_opens = microseconds(opens);
  *ret_closes = microseconds(closes);
  return opens_on(window, day);
}

static gboolean is_open(const WindowSpec *window, gint64 now) {
  gint64 opens, closes;
  for (int days = -1; days <= 0; days++)
    if (opening(window, now, days, &opens, &closes) && opens <= now && now < closes)
      return TRUE;
  return FALSE;
}

static gint64 next_opening(const WindowSpec *window, gint64 now) {
  gint64 opens, closes;
  for (int days = 0; days <= 8; days++)
    if (opening(window, now, days, &opens, &closes) && opens > now)
      return opens;
  return G_MAXINT64; /* it has no days */
}

gboolean windows_hold(const GPtrArray *windows, Impact impact, gint64 now, const WindowSpec **ret_window, gint64 *ret_opens) {
  const WindowSpec *next = NULL;
  gint64 soonest = G_MAXINT64;
  for (guint i = 0; windows && i < windows->len; i++) {
    const WindowSpec *window = windows->pdata[i];
    if (!g_strv_contains((const char *const *)window->impacts, impact_words[impact]))
      continue;
    if (is_open(window, now))
      return FALSE;
    gint64 opens = next_opening(window, now);
    if (!next || opens < soonest) {
      next = window;
      soonest = opens;
    }
  }
  if (!next)
    return FALSE;
  if (ret_window)
    *ret_window = next;
  if (ret_opens)
    *ret_opens = soonest;
  return TRUE;
}

char *window_time_text(const WindowSpec *window, gint64 time) {
  if (time == G_MAXINT64)
    return g_strdup("never");
  g_autoptr(GTimeZone) zone = zone_of(window);
  g_autoptr(GDateTime) utc = g_date_time_new_from_unix_utc(time / G_USEC_PER_SEC);
  g_autoptr(GDateTime) local = g_date_time_to_timezone(utc, zone);
  return g_date_time_format(local, "%Y-%m-%d %H:%M %Z");
}
