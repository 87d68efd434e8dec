/* What a row says about its field, in words: shared by the reference, the JSON
 * Schema and the command line, so that all say the same. Strings are to be freed
 * unless const; NULL where there is nothing to say. */
#pragma once
#include "schema/field.h"

char *describe_type(const Field *field);         /* "size", "list of DiskSpec", "word" */
char *describe_words(const Field *field);        /* "qcow2, raw" */
char *describe_bounds(const Field *field);       /* "from 64KiB to 8PiB", "at most 36 bytes" */
char *describe_rounding(const Field *field);     /* "the machine that runs has the next multiple of 1MiB" */
char *describe_effect(const Field *field);       /* "a change takes effect at once (virDomainSetVcpusFlags)" */
const char *describe_effect_short(Effect effect); /* "live", "next start", … for tables */
const char *describe_call(Call call);            /* the libvirt function; NULL for CALL_NONE */
gboolean field_has_bounds(const Field *field);   /* min and max of a number or quantity count */
