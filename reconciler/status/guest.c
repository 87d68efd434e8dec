/* What a machine that runs tells of itself, in status. */
#include "reconciler/report/escape.h"
#include "reconciler/plan/json.h"
#include "reconciler/status/status.h"
#include "schema/value.h"

static const char *text_of(const json_t *facts, const char *name) { return json_string_value(json_object_get(facts, name)); }

static void append_agent(GString *out, const json_t *agent) {
  static const char *const keys[][2] = {{"hostname", ""}, {"os.pretty-name", ""}, {"os.kernel-release", "kernel "}};
  g_autoptr(GString) line = g_string_new(NULL);
  for (guint i = 0; i < G_N_ELEMENTS(keys); i++) {
    const char *text = text_of(agent, keys[i][0]);
    if (text)
      g_string_append_printf(line, "%s%s%s", line->len ? ", " : "", keys[i][1], text);
  }
  if (line->len)
    status_append_line(out, "guest", "%s", line->str);
}

static gint64 number_of(const json_t *facts, const char *format, gint64 index, const char *rest) {
  g_autofree char *name = g_strdup_printf("%s%" G_GINT64_FORMAT "%s", format, index, rest);
  return json_integer_value(json_object_get(facts, name));
}

/* "block" or "net": how much of each went in and out. */
static void append_traffic(GString *out, const json_t *statistics, const char *kind, const char *in, const char *out_name, const char *words) {
  g_autofree char *count = g_strconcat(kind, ".count", NULL), *prefix = g_strconcat(kind, ".", NULL);
  for (gint64 i = 0; i < json_integer_value(json_object_get(statistics, count)); i++) {
    g_autofree char *key = g_strdup_printf("%s%" G_GINT64_FORMAT ".name", prefix, i);
    g_autofree char *received = bytes_format_short((guint64)number_of(statistics, prefix, i, in));
    g_autofree char *sent = bytes_format_short((guint64)number_of(statistics, prefix, i, out_name));
    const char *name = text_of(statistics, key);
    status_append_line(out, i ? "" : words, "%s: %s in, %s out", name ? name : "-", received, sent);
  }
}

void status_append_guest(GString *out, const GuestFacts *guest) {
  if (!guest)
    return;
  append_agent(out, guest->agent);
  if (guest->silent_seconds)
    status_append_line(out, "guest", "no answer for %u s: its QEMU or the agent in it hangs", guest->silent_seconds);
  if (guest->no_agent)
    status_append_line(out, "guest", "its agent doesn't tell: %s", guest->no_agent);
  for (guint i = 0; i < guest->addresses->len; i++) {
    const GuestAddress *each = guest->addresses->pdata[i];
    status_append_line(out, i ? "" : "addresses", "%s%s%s (%s)", each->interface ? each->interface : "", each->interface ? " " : "", each->address,
                       each->source);
  }
  json_int_t nanoseconds = json_integer_value(json_object_get(guest->statistics, "cpu.time"));
  if (nanoseconds)
    status_append_line(out, "CPU time", "%.1f s", (double)nanoseconds / 1e9);
  append_traffic(out, guest->statistics, "block", ".rd.bytes", ".wr.bytes", "disk traffic");
  append_traffic(out, guest->statistics, "net", ".rx.bytes", ".tx.bytes", "net traffic");
}

void status_guest_json(const GuestFacts *guest, json_t *object) {
  json_t *addresses = json_array();
  for (guint i = 0; guest && i < guest->addresses->len; i++) {
    const GuestAddress *each = guest->addresses->pdata[i];
    json_array_append_new(addresses, json_pack("{s:o, s:o, s:o, s:s}", "interface", json_text(each->interface), "mac", json_text(each->mac),
                                               "address", json_text(each->address), "source", each->source));
  }
  json_object_set_new(object, "addresses", addresses);
  json_object_set_new(object, "guestSilent", json_boolean(guest && guest->silent_seconds));
  json_object_set(object, "guest", guest && guest->agent ? guest->agent : json_null());
  json_object_set(object, "statistics", guest && guest->statistics ? guest->statistics : json_null());
}
