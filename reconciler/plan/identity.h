/* Fills in what the file leaves to us of who a machine is: for a new one derived from names and chosen for the host, for one that
 * exists as it has it. */
#pragma once
#include "reconciler/plan/input.h"

void resolve_identity(const PlanInput *input, const ActualDomain *existing /* NULL: new */, Object *object);
