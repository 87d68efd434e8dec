/* Shares of the host that a running machine gets: CPU scheduling and pinning, disk and network
 * throughput. Shares and quotas need cgroups, which a session daemon has not; libvirt says so. */
#include "reconciler/act/common.h"

typedef struct {
  virTypedParameterPtr items;
  int count, size;
} Params;

static void params_clear(Params *params) { virTypedParamsFree(params->items, params->count); }
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Params, params_clear)

static void add_ullong(Params *params, const char *name, guint64 value) {
  virTypedParamsAddULLong(&params->items, &params->count, &params->size, name, value);
}

static gboolean add_quota(Params *params, const char *text, GError **error) {
  gint64 quota;
  if (!g_ascii_string_to_signed(text, 10, G_MININT64, G_MAXINT64, &quota, NULL))
    return act_fail(error, "the plan's argument quota=%s isn't a number", text);
  virTypedParamsAddLLong(&params->items, &params->count, &params->size, VIR_DOMAIN_SCHEDULER_VCPU_QUOTA, quota);
  return TRUE;
}

gboolean act_set_scheduler(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  guint64 shares = 0, period = 0;
  if (!domain || !act_arg_optional(action, "shares", &shares, error) || !act_arg_optional(action, "period", &period, error))
    return FALSE;
  g_auto(Params) params = { 0 };
  if (act_arg(action, "shares"))
    add_ullong(&params, VIR_DOMAIN_SCHEDULER_CPU_SHARES, shares);
  if (act_arg(action, "period"))
    add_ullong(&params, VIR_DOMAIN_SCHEDULER_VCPU_PERIOD, period);
  if (act_arg(action, "quota") && !add_quota(&params, act_arg(action, "quota"), error))
    return FALSE;
  if (!params.count)
    return TRUE;
  return virDomainSetSchedulerParametersFlags(domain, params.items, params.count, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot set the CPU scheduling of domain %s", context->object->name);
}

/* The host's CPUs that a canonical set ("0-3,8") names, as a bitmap; NULL or "all": all. */
static unsigned char *cpu_map(virConnectPtr connect, const char *cpus, int *ret_length, GError **error) {
  int count = virNodeGetCPUMap(connect, NULL, NULL, 0);
  if (count <= 0) {
    libvirt_fail(error, "cannot count the host's CPUs");
    return NULL;
  }
  int length = VIR_CPU_MAPLEN(count);
  g_autofree unsigned char *map = g_malloc0((gsize)length);
  g_autofree char *all = g_strdup_printf("0-%d", count - 1);
  g_auto(GStrv) parts = g_strsplit(cpus && !g_str_equal(cpus, "all") ? cpus : all, ",", -1);
  for (guint i = 0; parts[i]; i++) {
    char *end;
    guint64 first = g_ascii_strtoull(parts[i], &end, 10), last = *end == '-' ? g_ascii_strtoull(end + 1, &end, 10) : first;
    if (end == parts[i] || *end || last >= (guint64)count || first > last) {
      act_fail(error, "the host has no CPUs %s: it has %d", parts[i], count);
      return NULL;
    }
    for (guint64 cpu = first; cpu <= last; cpu++)
      VIR_USE_CPU(map, cpu);
  }
  *ret_length = length;
  return g_steal_pointer(&map);
}

gboolean act_pin_vcpu(const ActionContext *context, const Action *action, GError **error) {
  guint64 vcpu;
  g_autoptr(VirDomain) domain = act_arg_uint64(action, "vcpu", &vcpu, error) ? act_live_domain(context, error) : NULL;
  int length;
  g_autofree unsigned char *map = domain ? cpu_map(virDomainGetConnect(domain), act_arg(action, "cpus"), &length, error) : NULL;
  if (!map)
    return FALSE;
  return virDomainPinVcpuFlags(domain, (unsigned int)vcpu, map, length, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot pin virtual CPU %d of domain %s", (int)vcpu, context->object->name);
}

gboolean act_pin_emulator(const ActionContext *context, const Action *action, GError **error) {
  g_autoptr(VirDomain) domain = act_live_domain(context, error);
  int length;
  g_autofree unsigned char *map = domain ? cpu_map(virDomainGetConnect(domain), act_arg(action, "cpus"), &length, error) : NULL;
  if (!map)
    return FALSE;
  return virDomainPinEmulator(domain, map, length, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot pin the emulator of domain %s", context->object->name);
}

static const struct { const char *argument, *parameter; } io_limits[] = {
  { "total", VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_BYTES_SEC },     { "read", VIR_DOMAIN_BLOCK_IOTUNE_READ_BYTES_SEC },
  { "write", VIR_DOMAIN_BLOCK_IOTUNE_WRITE_BYTES_SEC },     { "totalIops", VIR_DOMAIN_BLOCK_IOTUNE_TOTAL_IOPS_SEC },
  { "readIops", VIR_DOMAIN_BLOCK_IOTUNE_READ_IOPS_SEC },    { "writeIops", VIR_DOMAIN_BLOCK_IOTUNE_WRITE_IOPS_SEC },
};

gboolean act_set_io_limits(const ActionContext *context, const Action *action, GError **error) {
  const char *target = act_need(action, "target", error);
  g_autoptr(VirDomain) domain = target ? act_live_domain(context, error) : NULL;
  if (!domain)
    return FALSE;
  g_auto(Params) params = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS(io_limits); i++) {
    guint64 value = 0;
    if (!act_arg_optional(action, io_limits[i].argument, &value, error))
      return FALSE;
    add_ullong(&params, io_limits[i].parameter, value);
  }
  return virDomainSetBlockIoTune(domain, target, params.items, params.count, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot limit the throughput of disk %s of domain %s", target, context->object->name);
}

static const struct { const char *argument, *parameter; } bandwidths[] = {
  { "inbound.average", VIR_DOMAIN_BANDWIDTH_IN_AVERAGE },   { "inbound.peak", VIR_DOMAIN_BANDWIDTH_IN_PEAK },
  { "inbound.burst", VIR_DOMAIN_BANDWIDTH_IN_BURST },       { "outbound.average", VIR_DOMAIN_BANDWIDTH_OUT_AVERAGE },
  { "outbound.peak", VIR_DOMAIN_BANDWIDTH_OUT_PEAK },       { "outbound.burst", VIR_DOMAIN_BANDWIDTH_OUT_BURST },
};

static gboolean is_limited(const InterfaceSpec *interface, guint group) {
  const Field *field = &InterfaceSpec_table.fields[group];
  gconstpointer limits = field_given(&InterfaceSpec_table, interface, field) ? field_member(field, interface) : NULL;
  for (guint i = 0; limits && i < field->sub->n_fields; i++) {
    const Field *limit = &field->sub->fields[i];
    if (field_given(field->sub, limits, limit) && *(const guint64 *)field_member(limit, limits) > 0)
      return TRUE;
  }
  return FALSE;
}

/* Plans of the version before named the interface only. */
static gboolean check_bandwidths(const ActionContext *context, const Action *action, const char *mac, GError **error) {
  const VmSpec *vm = act_vm(context, error);
  const InterfaceSpec *interface = vm && given(vm, VmSpec, interfaces)
                                     ? list_find(&InterfaceSpec_table, vm->interfaces, table_match_field(&InterfaceSpec_table), mac) : NULL;
  for (guint i = 0; vm && i < G_N_ELEMENTS(bandwidths); i++)
    if (act_arg(action, bandwidths[i].argument))
      return TRUE;
  if (!vm || !interface || !(is_limited(interface, InterfaceSpec_inbound) || is_limited(interface, InterfaceSpec_outbound)))
    return vm != NULL;
  return act_refuse(error, "the plan doesn't say which bandwidth interface %s shall have; it was made by another version: plan again", mac);
}

gboolean act_set_bandwidth(const ActionContext *context, const Action *action, GError **error) {
  const char *mac = act_need(action, "match", error);
  g_autoptr(VirDomain) domain = mac && check_bandwidths(context, action, mac, error) ? act_live_domain(context, error) : NULL;
  if (!domain)
    return FALSE;
  g_auto(Params) params = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS(bandwidths); i++) {
    guint64 bytes = 0;
    if (!act_arg_optional(action, bandwidths[i].argument, &bytes, error))
      return FALSE;
    virTypedParamsAddUInt(&params.items, &params.count, &params.size, bandwidths[i].parameter, (unsigned int)(bytes / 1024)); /* in KiB; 0: none */
  }
  return virDomainSetInterfaceParameters(domain, mac, params.items, params.count, VIR_DOMAIN_AFFECT_LIVE) == 0 ||
         libvirt_fail(error, "cannot limit the bandwidth of interface %s of domain %s", mac, context->object->name);
}
