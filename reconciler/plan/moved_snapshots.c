/* Snapshots that came along with a machine, and that libvirt where it is now doesn't know yet: nothing else is done to it before that
 * is over, since layers of which nobody knows whose they are would be merged away. */
#include "reconciler/plan/migration.h"
#include "reconciler/plan/moved.h"

typedef struct {
  PlanBuilder *builder;
  PlanObject *object;
  const Placed *placed;
  const ActualDomain *domain;
  const FactsSpec *facts;
} Coming;

/* from: the host whose libvirt knows them; NULL: none has to be asked. */
static Action *act(const Coming *coming, const char *from, char *description /* taken */) {
  const char *now = coming->placed->now->name;
  coming->object->change = CHANGE_UPDATE;
  return build_action(coming->builder, coming->object, ACTION_MOVE_SNAPSHOTS, NULL, description, "from", from != NULL ? from : now, "to", now, "told",
                      from != NULL ? NULL : "true", NULL);
}

/* Why libvirt on the host that they came from can't tell any more what they are; NULL: it can, or will. Free it. */
static char *why_lost(const Coming *coming) {
  const char *from = given(coming->facts, FactsSpec, movedFrom) ? coming->facts->movedFrom : NULL;
  const FleetHost *host = from != NULL ? fleet_host(coming->placed->fleet, from) : NULL;
  if (from == NULL || coming->placed->stale != NULL)
    return NULL;
  if (host == NULL || fleet_host_is_fenced(host))
    return g_strdup_printf("%s %s", from, host == NULL ? "isn't declared" : "is fenced");
  return host->actual != NULL ? g_strdup_printf("%s hasn't the older copy any more, whose they were", from) : NULL;
}

static char *give_up(const Coming *coming, const char *why) {
  g_autofree char *lacks = move_notes_text(coming->domain), *names = g_strjoinv(", ", coming->facts->snapshotsComing);
  if (!(coming->builder->input->allow & ALLOW(IMPACT_DATA_LOSS)))
    return g_strdup_printf("%s, and %s: tell libvirt here of them ('virsh snapshot-create %s --redefine'), or give them up (--allow data-loss)", lacks, why,
                           coming->object->name);
  act(coming, NULL, g_strdup_printf("give up its snapshots %s, since %s", names, why))->impact = IMPACT_DATA_LOSS;
  return NULL;
}

/* A person made or removed some there since its disks were copied: that can't be brought here. */
static char *changed_meanwhile(const Coming *coming, const char *from, const ActualDomain *older) {
  const char *const *names = (const char *const *)coming->facts->snapshotsComing, *machine = coming->object->name;
  for (guint i = 0; i < older->snapshots->len; i++) {
    const char *each = ((const ActualSnapshot *)older->snapshots->pdata[i])->name;
    if (!g_strv_contains(names, each))
      return g_strdup_printf("snapshot %s was made on %s since its disks were copied from there, and isn't here: remove it there ('virsh snapshot-delete %s %s')",
                             each, from, machine, each);
  }
  for (; *names != NULL; names++)
    if (actual_snapshot(older, *names) == NULL)
      return g_strdup_printf("snapshot %s was removed on %s since its disks were copied from there: tell libvirt here of all that came along ('virsh snapshot-create %s "
                             "--redefine'), or undefine the older copy there ('virsh undefine %s --snapshots-metadata') and give them up (--allow data-loss)",
                             *names, from, machine, machine);
  return NULL;
}

static char *bring(const Coming *coming) {
  const FleetHost *from = coming->placed->stale;
  g_autofree char *lacks = move_notes_text(coming->domain);
  if (from == NULL)
    return g_strdup_printf("%s: nothing is done to it until that host can be asked, or libvirt here has been told ('virsh snapshot-create %s --redefine')",
                           lacks, coming->object->name);
  char *error = changed_meanwhile(coming, from->name, g_hash_table_lookup(from->actual->domains, coming->object->name));
  if (error == NULL)
    act(coming, from->name, g_strdup("tell libvirt here of the snapshots that came along"));
  return error;
}

char *moved_snapshots(PlanBuilder *builder, PlanObject *object, const Placed *placed, const ActualDomain *domain) {
  const Coming coming = {builder, object, placed, domain, &domain->owner->facts};
  gboolean told = move_has_notes(domain);
  g_autofree char *lost = told ? NULL : why_lost(&coming);
  char *error = NULL;
  if (told)
    act(&coming, NULL, g_strdup("note that its snapshots are known here"));
  else
    error = lost != NULL ? give_up(&coming, lost) : bring(&coming);
  if (error != NULL)
    return error;
  object->follows = TRUE;
  build_note(object, g_strdup(lost != NULL ? "the rest is looked at and done after that, in the same run"
                                           : "the rest is looked at and done when its snapshots are known here, in the same run"));
  return NULL;
}
