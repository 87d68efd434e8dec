/* Whether the host of a single run still answers. Keepalive would tell, but it needs libvirt's event loop, which
 * triples what reading a host costs. Instead somebody else connects to it from time to time, the first time when
 * the run has taken long: short runs pay nothing. */
#pragma once
#include <glib.h>

typedef struct SilenceWatch SilenceWatch;
/* silent: called, once and in another thread, when nobody answers for 30 s. */
SilenceWatch *silence_watch_new(const char *uri /* NULL: libvirt's default */, void (*silent)(gpointer data, const char *message), gpointer data);
/* From here on nobody is told. */
void silence_watch_free(SilenceWatch *watch); /* accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SilenceWatch, silence_watch_free)
