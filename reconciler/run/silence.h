/* Whether what a run waits for will ever come.
 *
 * Of a single run's only host nobody knows whether it still answers: keepalive would tell, but it needs libvirt's event
 * loop, which triples what reading a host costs. Instead somebody else connects to it from time to time. And a daemon that
 * answers can have calls that never end (life_sign.h): after two minutes the connections are given up, so that the run ends and
 * the next one looks again. For the first ten seconds neither is done: short runs pay nothing. */
#pragma once
#include <glib.h>

typedef struct SilenceWatch SilenceWatch;
/* silent: called, once and in another thread, when nobody answers for 30 s, or when connections can't be given
 * up; NULL: the run's hosts have events. */
SilenceWatch *silence_watch_new(const char *uri /* NULL: libvirt's default */, void (*silent)(gpointer data, const char *message), gpointer data);
/* From here on nobody is told. */
void silence_watch_free(SilenceWatch *watch); /* accepts NULL */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SilenceWatch, silence_watch_free)
