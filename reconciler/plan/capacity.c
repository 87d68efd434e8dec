#include "reconciler/plan/capacity.h"

#include "schema/value.h"

typedef struct { guint64 cpus, memory; } Load;

struct Capacity {
  GHashTable *loads; /* FleetHost * → Load * */
};

static void count(const VmSpec *vm, Load *load) {
  if (given(vm, VmSpec, cpu) && given(&vm->cpu, CpuSpec, count))
    load->cpus = (guint64)vm->cpu.count;
  if (given(vm, VmSpec, memory) && given(&vm->memory, MemorySpec, size))
    load->memory = vm->memory.size;
}

/* What the file leaves open is what the machine has. */
static Load load_of(const Object *machine, const ActualDomain *domain) {
  Load load = {1, 0};
  if (domain != NULL)
    count(&domain->persistent, &load);
  if (machine != NULL)
    count(object_vm(machine), &load);
  return load;
}

static void add(Capacity *capacity, const FleetHost *host, Load load) {
  Load *sum = g_hash_table_lookup(capacity->loads, host);
  if (sum == NULL)
    g_hash_table_insert(capacity->loads, (gpointer)host, sum = g_new0(Load, 1));
  sum->cpus += load.cpus;
  sum->memory += load.memory;
}

static void add_others(Capacity *capacity, const Desired *desired, const FleetHost *host) {
  GHashTableIter iter;
  const ActualDomain *domain;
  g_hash_table_iter_init(&iter, host->actual->domains);
  while (g_hash_table_iter_next(&iter, NULL, (gpointer *)&domain))
    if (domain->active && desired_find(desired, KIND_VIRTUAL_MACHINE, domain->name) == NULL)
      add(capacity, host, load_of(NULL, domain));
}

Capacity *capacity_new(const Desired *desired, const Fleet *fleet) {
  Capacity *capacity = g_new0(Capacity, 1);
  capacity->loads = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
  for (guint i = 0; i < fleet->hosts->len; i++) {
    const FleetHost *host = fleet->hosts->pdata[i];
    if (host->actual != NULL)
      add_others(capacity, desired, host);
  }
  return capacity;
}

void capacity_free(Capacity *capacity) {
  if (capacity != NULL)
    g_hash_table_unref(capacity->loads);
  g_free(capacity);
}

void capacity_add(Capacity *capacity, const FleetHost *host, const Object *machine, const ActualDomain *domain) {
  add(capacity, host, load_of(machine, domain));
}

char *capacity_refusal(const Capacity *capacity, const FleetHost *host, const Object *machine, const ActualDomain *domain) {
  const HostLimitsSpec *limits = host->spec != NULL && given(host->spec, HostSpec, limits) ? &host->spec->limits : NULL;
  const Load none = {0}, *taken = g_hash_table_lookup(capacity->loads, host), wanted = load_of(machine, domain);
  taken = taken != NULL ? taken : &none;
  if (limits != NULL && given(limits, HostLimitsSpec, cpus) && taken->cpus + wanted.cpus > (guint64)limits->cpus)
    return g_strdup_printf("has %" G_GUINT64_FORMAT " of %" G_GINT64_FORMAT " CPUs left (limits.cpus), and it needs %" G_GUINT64_FORMAT,
                           (guint64)limits->cpus - MIN(taken->cpus, (guint64)limits->cpus), (gint64)limits->cpus, wanted.cpus);
  if (limits == NULL || !given(limits, HostLimitsSpec, memory) || taken->memory + wanted.memory <= limits->memory)
    return NULL;
  g_autofree char *left = bytes_format_short(limits->memory - MIN(taken->memory, limits->memory));
  g_autofree char *most = bytes_format_short(limits->memory), *need = bytes_format_short(wanted.memory);
  return g_strdup_printf("has %s of %s of memory left (limits.memory), and it needs %s", left, most, need);
}
