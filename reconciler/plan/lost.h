/* A file that a running machine has open, and that is gone: as long as it runs, it can be written out again. */
#pragma once
#include "state/actual.h"

/* What to say, and why nothing is done to the machine; NULL: none is known to be gone. */
char *lost_text(const ActualDomain *domain);
