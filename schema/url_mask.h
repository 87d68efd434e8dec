/* What of a URL may be a token is shown to nobody: it would be in plans, logs and the journal for ever. */
#pragma once
#include <glib.h>

/* The text with each http or https URL in it without a user, and with "?…" for a query. Free it. */
char *url_mask(const char *text); /* NULL stays NULL */
