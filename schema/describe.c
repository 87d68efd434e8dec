#include "schema/describe.h"
#include "schema/value.h"

static const char *const call_names[CALL_N] = {
  [CALL_VCPUS] = "virDomainSetVcpusFlags",
  [CALL_MEMORY] = "virDomainSetMemoryFlags",
  [CALL_MEMORY_STATS] = "virDomainSetMemoryStatsPeriod",
  [CALL_SCHEDULER] = "virDomainSetSchedulerParametersFlags",
  [CALL_PIN_VCPU] = "virDomainPinVcpuFlags",
  [CALL_PIN_EMULATOR] = "virDomainPinEmulator",
  [CALL_RESIZE_DISK] = "virDomainBlockResize, or virStorageVolResize of a stopped machine's disk",
  [CALL_IO_LIMITS] = "virDomainSetBlockIoTune",
  [CALL_MEDIA] = "virDomainUpdateDeviceFlags",
  [CALL_ATTACH_DEVICE] = "virDomainAttachDeviceFlags and virDomainDetachDeviceFlags",
  [CALL_BANDWIDTH] = "virDomainSetInterfaceParameters",
  [CALL_TITLE] = "virDomainSetMetadata",
  [CALL_DESCRIPTION] = "virDomainSetMetadata",
  [CALL_LIFECYCLE] = "virDomainSetLifecycleAction",
  [CALL_AUTOSTART] = "the object's SetAutostart call",
  [CALL_POWER] = "the object's calls to start and stop",
  [CALL_NETWORK_UPDATE] = "virNetworkUpdate",
  [CALL_RESIZE_VOLUME] = "virStorageVolResize",
};

const char *describe_call(Call call) { return call < CALL_N ? call_names[call] : NULL; }

char *describe_type(const Field *field) {
  switch (field->type) {
    case VALUE_GROUP: return g_strdup("group");
    case VALUE_LIST: return g_strdup_printf("list, keyed by %s", table_key_field(field->sub)->key);
    case VALUE_STRINGS: return g_strdup_printf("list of %s", value_info(field->item)->name);
    default: return g_strdup(value_info(field->type)->name);
  }
}

char *describe_words(const Field *field) {
  return field->words ? g_strjoinv(", ", (char **)field->words->words) : NULL;
}

gboolean field_has_bounds(const Field *field) { return field->max > 0 || field->min != field->max; }

/* A bound in the notation of the field's own values. */
static char *bound(const Field *field, gint64 number) {
  guint64 quantity = (guint64)number;
  return field->type == VALUE_INT ? value_format(field, &number) : value_format(field, &quantity);
}

char *describe_bounds(const Field *field) {
  if (!field_has_bounds(field)) return NULL;
  switch (field->type) {
    case VALUE_INT:
    case VALUE_BYTES:
    case VALUE_RATE:
    case VALUE_DURATION: {
      g_autofree char *least = bound(field, field->min);
      g_autofree char *most = bound(field, field->max);
      return g_strdup_printf("from %s to %s%s%s", least, most, field->unit ? " " : "", field->unit ? field->unit : "");
    }
    case VALUE_STRINGS: return g_strdup_printf("at most %" G_GINT64_FORMAT " items", field->max);
    default: return g_strdup_printf("at most %" G_GINT64_FORMAT " bytes", field->max);
  }
}

char *describe_rounding(const Field *field) {
  g_autofree char *granule = bytes_format(field->granule);
  switch (field->rounding) {
    case ROUNDING_LIVE: return g_strdup_printf("the machine that runs has the next multiple of %s", granule);
    case ROUNDING_POWER_OF_TWO: return g_strdup("libvirt makes it the next power of two");
    default: return NULL;
  }
}

const char *describe_effect_short(Effect effect) {
  static const char *const words[EFFECT_N] = {
    [EFFECT_UNSET] = "",
    [EFFECT_NONE] = "none",
    [EFFECT_LIVE_CALL] = "live",
    [EFFECT_LIVE_UPDATE] = "live",
    [EFFECT_LIVE_REPLUG] = "live, replugged",
    [EFFECT_NEXT_START] = "next start",
    [EFFECT_NEVER] = "never",
  };
  return words[effect];
}

char *describe_effect(const Field *field) {
  const char *what = field->type == VALUE_LIST ? "an item added or removed" : "a change";
  switch (field->effect) {
    case EFFECT_UNSET: return NULL;
    case EFFECT_NONE: return g_strdup_printf("%s changes nothing of a running machine", what);
    case EFFECT_LIVE_CALL: return g_strdup_printf("%s takes effect at once (%s)", what, describe_call(field->call));
    case EFFECT_LIVE_UPDATE: return g_strdup_printf("%s takes effect at once (virDomainUpdateDeviceFlags)", what);
    case EFFECT_LIVE_REPLUG:
      return g_strdup_printf("%s takes effect at once: the device is unplugged and plugged again", what);
    case EFFECT_NEXT_START: return g_strdup_printf("%s takes effect at the next start", what);
    case EFFECT_NEVER: return g_strdup_printf("%s is refused: %s", what, field->why);
    case EFFECT_N: break;
  }
  return NULL;
}
