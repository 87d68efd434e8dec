/* Each declared machine next to what was found of it: made concrete for the host, and what differs by the
 * rows. Here no machine depends on another, so that a few threads share the work; what follows from the
 * differences is planned afterwards, in order. Pure. */
#pragma once
#include "reconciler/plan/resolve.h"

typedef struct {
  const Object *declared;
  const ActualDomain *found; /* NULL: to be created */
  char *error;               /* why nothing can be planned for it; then the rest is empty */
  Resolved *resolved;
  GPtrArray *fields;         /* of FieldChange *; NULL: to be created */
  gboolean record_differs;   /* our record in it isn't what is declared */
} Comparison;

/* Why one without a definition is left alone. */
#define COMPARE_TRANSIENT "a transient machine of this name runs, which has no definition to manage: stop it, or define it ('virsh dumpxml', 'virsh define')"

/* const Object * → Comparison *, of the machines that are declared here. */
GHashTable *compare_machines(const PlanInput *input);
