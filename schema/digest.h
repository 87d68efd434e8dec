/* SHA-256, by libcrypto, which uses the processor's instructions for it. */
#pragma once
#include <glib.h>

typedef struct Digest Digest;
Digest *digest_new(void);
void digest_free(Digest *digest);
void digest_update(Digest *digest, gconstpointer data, gsize length);
char *digest_hex(Digest *digest); /* once, at the end; lower case */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Digest, digest_free)

char *digest_of_data(gconstpointer data, gsize length);
