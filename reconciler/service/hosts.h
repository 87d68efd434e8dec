/* The hosts that the service listens to, with what it knows of each: those that the source declares, or the
 * one of the configuration, which has no name. One that can't be asked is left out of the passes, so that
 * they don't wait for it: it is connected again in the background, later and later. Of the main loop, but
 * for hosts_attach. */
#pragma once
#include <jansson.h>
#include "reconciler/plan/fleet.h"
#include "reconciler/service/backoff.h"
#include "state/libvirt/events.h"

typedef struct {
  /* What a host told; host: its name, NULL: the only one. */
  void (*told)(gpointer data, const char *host, const HostEvent *event);
  /* One couldn't be asked, or can be asked again: why, in words. There is something to look at. */
  void (*changed)(gpointer data, const char *why);
  gpointer data;
} HostsFunctions;

typedef struct Hosts Hosts;
Hosts *hosts_new(const char *uri /* of the only one; NULL: libvirt's default */, const HostsFunctions *functions);
void hosts_free(Hosts *hosts); /* accepts NULL */

/* Something may have changed: a domain ("vm/web-1"), or NULL or another object: all of the host. */
void hosts_touch(Hosts *hosts, const char *host, const char *object);
void hosts_touch_all(Hosts *hosts);
/* Those that can't be asked are tried at once. */
void hosts_retry(Hosts *hosts);

/* Follows what is declared, between passes. FALSE: one that is new is still being connected; `changed` tells. */
gboolean hosts_follow(Hosts *hosts, const Desired *desired);

/* What a pass takes along. */
typedef struct {
  GPtrArray *known; /* of KnownHost *, as the run wants them */
  gboolean whole;   /* each is looked at as a whole */
  GPtrArray *gone;  /* what isn't declared any more, to be left */
} HostsLent;
/* whole: whatever is known of them. */
HostsLent *hosts_lend(Hosts *hosts, gboolean whole);
/* In the pass's thread, before the run: listens. Events that say so are added to `seen`. */
void hosts_attach(HostsLent *lent, GPtrArray *seen);
/* FALSE: one couldn't be asked, which takes its time. */
gboolean hosts_take_back(Hosts *hosts, HostsLent *lent);

/* Whether each could be asked the last time. */
gboolean hosts_connected(const Hosts *hosts);
/* "connection", "connected", "noAnswerSince"; with declared hosts the same of each, under "hosts". */
void hosts_describe(const Hosts *hosts, json_t *state);
