/* An existing domain as an object that adopts it: applying it changes nothing but our record.
 * What the files have no words for is left out, and so stays as it is. */
#pragma once
#include "state/actual.h"

/* `remarks` (of char *): what was left out, for people. */
Object *import_domain(const ActualDomain *domain, GPtrArray *remarks);
/* Why a domain can't be imported; NULL: it can. To be freed. */
char *import_obstacle(const ActualDomain *domain);
