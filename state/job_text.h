/* What a domain's job is told as. */
#pragma once
#include "state/actual.h"

/* "32 MiB/s, 12 MiB remaining, iteration 3, 4 MiB/s dirtied, guest slowed by 20%", as far as it is known. Free it. */
char *job_rates(const ActualJob *job);
/* How much of what there is to send has been sent, 0 to 100; what is dirtied makes it fall. */
guint job_percent(const ActualJob *job);
