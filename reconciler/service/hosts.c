#include "reconciler/service/hosts.h"

#include <gio/gio.h>
#include <string.h>

#include "reconciler/plan/json.h"
#include "reconciler/service/seen.h"

enum { MOST_SINGLE = 32 };    /* domains of a host that are looked at one by one */
enum { FIRST_SILENCE = 30000, SILENCE = 5000 }; /* milliseconds after which it is said that nobody answers */

static const BackoffTimes patience_times = {.first = G_USEC_PER_SEC / 2, .most = 60 * G_USEC_PER_SEC, .calm = 600 * G_USEC_PER_SEC};

typedef struct {
  Hosts *hosts;
  char *name;        /* NULL: the only one */
  Connection *connection;
  HostEvents *events;
  Actual *actual;    /* as the last pass saw it; NULL: nothing is known */
  gboolean all;      /* of that nothing may hold any more, or */
  GHashTable *stale; /* not of these domains, by name */
  gboolean fresh;    /* it is being connected for the first time: passes wait for that */
  gboolean answered; /* the last time that it was asked */
  char *lost;        /* why it isn't asked; NULL: it is */
  guint timer;       /* for the next attempt, or to say that this one takes long */
} Host;

struct Hosts {
  char *uri;
  HostsFunctions functions;
  GPtrArray *list, *gone; /* of Host *; those that aren't declared any more */
  Backoff *patience; /* by name */
};

/* One host in a pass. */
typedef struct {
  KnownHost known; /* first */
  Host *host;
  gboolean skipped;
} Visit;

static const char *id_of(const Host *host) { return host->name ? host->name : ""; }

static void host_free(gpointer data) {
  Host *host = data;
  g_clear_handle_id(&host->timer, g_source_remove);
  host_events_free(host->events);
  connection_free(host->connection); /* from here on nobody is told any more */
  while (g_source_remove_by_user_data(host))
    ;
  actual_free(host->actual);
  g_hash_table_unref(host->stale);
  g_free(host->lost);
  g_free(host->name);
  g_free(host);
}

/* --- lost and found --- */

static gboolean on_silence(gpointer data);

static gboolean on_retry(gpointer data) {
  Host *host = data;
  host->timer = g_timeout_add(SILENCE, on_silence, host);
  connection_reopen(host->connection);
  return G_SOURCE_REMOVE;
}

static void say_lost(Host *host, const char *why) {
  host->fresh = FALSE;
  if (g_strcmp0(host->lost, why) == 0)
    return;
  g_free(host->lost);
  host->lost = g_strdup(why);
  host->hosts->functions.changed(host->hosts->functions.data, "a host can't be asked");
}

/* It is connected again when its patience is over. */
static void lose(Host *host, const char *why) {
  gint64 now = g_get_monotonic_time();
  g_clear_pointer(&host->actual, actual_free);
  host->all = TRUE;
  host->answered = FALSE;
  backoff_failed(host->hosts->patience, id_of(host), now, NULL);
  gint64 until = backoff_until(host->hosts->patience, id_of(host), now, NULL);
  g_clear_handle_id(&host->timer, g_source_remove);
  host->timer = g_timeout_add((guint)(MAX(until - now, 0) / 1000 + 1), on_retry, host);
  say_lost(host, why);
}

static gboolean on_silence(gpointer data) {
  Host *host = data;
  g_autoptr(GError) trouble = connection_trouble(host->connection);
  host->timer = 0;
  if (trouble)
    say_lost(host, trouble->message);
  return G_SOURCE_REMOVE;
}

static gboolean on_opened(gpointer data) {
  Host *host = data;
  g_autoptr(GError) trouble = connection_trouble(host->connection);
  if (trouble) {
    lose(host, trouble->message);
    return G_SOURCE_REMOVE;
  }
  g_clear_handle_id(&host->timer, g_source_remove);
  if (host->lost || host->fresh)
    host->hosts->functions.changed(host->hosts->functions.data, host->lost ? "the hypervisor answers again" : NULL);
  g_clear_pointer(&host->lost, g_free);
  host->fresh = FALSE;
  return G_SOURCE_REMOVE;
}

/* In any thread. */
static void when_opened(gpointer data) { g_idle_add_full(G_PRIORITY_HIGH, on_opened, data, NULL); }

static void on_event(gpointer data, const HostEvent *event) {
  Host *host = data;
  const HostsFunctions *functions = &host->hosts->functions;
  functions->told(functions->data, host->name, event);
  if (!event->lost) {
    if (event->look)
      hosts_touch(host->hosts, host->name, event->object);
    return;
  }
  g_autofree char *why = g_strdup_printf("the connection to %s was lost: %s", event->uri ? event->uri : "libvirt", event->detail);
  lose(host, why);
}

/* --- which there are --- */

static GHashTable *new_names(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL); }

static Host *host_new(Hosts *hosts, const char *name, const char *uri) {
  Host *host = g_new0(Host, 1);
  host->hosts = hosts;
  host->name = g_strdup(name);
  host->connection = connection_new(uri, FALSE);
  connection_on_opened(host->connection, when_opened, host);
  host->events = host_events_new(host->connection, on_event, host);
  host->all = TRUE;
  host->stale = new_names();
  host->fresh = TRUE;
  host->timer = g_timeout_add(FIRST_SILENCE, on_silence, host);
  connection_reopen(host->connection);
  return host;
}

Hosts *hosts_new(const char *uri, const HostsFunctions *functions) {
  Hosts *hosts = g_new0(Hosts, 1);
  hosts->uri = g_strdup(uri);
  hosts->functions = *functions;
  hosts->list = g_ptr_array_new_with_free_func(host_free);
  hosts->gone = g_ptr_array_new_with_free_func(host_free);
  hosts->patience = backoff_new(&patience_times, g_random_int());
  return hosts;
}

void hosts_free(Hosts *hosts) {
  if (!hosts)
    return;
  g_ptr_array_unref(hosts->list);
  g_ptr_array_unref(hosts->gone);
  backoff_free(hosts->patience);
  g_free(hosts->uri);
  g_free(hosts);
}

static Host *take_host(GPtrArray *list, const char *name, const char *uri) {
  for (guint i = 0; i < list->len; i++) {
    Host *host = list->pdata[i];
    if (g_strcmp0(host->name, name) == 0 && g_strcmp0(connection_uri(host->connection), uri) == 0)
      return g_ptr_array_steal_index(list, i);
  }
  return NULL;
}

static void keep_host(Hosts *hosts, GPtrArray *before, const char *name, const char *uri) {
  Host *host = take_host(before, name, uri);
  g_ptr_array_add(hosts->list, host ? host : host_new(hosts, name, uri));
}

gboolean hosts_follow(Hosts *hosts, const Desired *desired) {
  g_autoptr(GPtrArray) before = g_steal_pointer(&hosts->list);
  gboolean ready = TRUE;
  hosts->list = g_ptr_array_new_with_free_func(host_free);
  if (!desired_has_hosts(desired))
    keep_host(hosts, before, NULL, hosts->uri);
  for (guint i = 0; i < desired->objects->len; i++) {
    const Object *object = desired->objects->pdata[i];
    const HostSpec *spec = object->kind == KIND_HOST ? object->spec : NULL;
    if (spec && !(given(spec, HostSpec, fenced) && spec->fenced))
      keep_host(hosts, before, object->metadata.name, spec->uri);
  }
  while (before->len > 0)
    g_ptr_array_add(hosts->gone, g_ptr_array_steal_index(before, 0));
  for (guint i = 0; i < hosts->list->len; i++)
    ready &= !((const Host *)hosts->list->pdata[i])->fresh;
  return ready;
}

/* --- what may have changed --- */

void hosts_touch(Hosts *hosts, const char *name, const char *object) {
  for (guint i = 0; i < hosts->list->len; i++) {
    Host *host = hosts->list->pdata[i];
    if (g_strcmp0(host->name, name) != 0)
      continue;
    if (object && g_str_has_prefix(object, "vm/"))
      g_hash_table_add(host->stale, g_strdup(object + strlen("vm/")));
    else
      host->all = TRUE;
  }
}

void hosts_touch_all(Hosts *hosts) {
  for (guint i = 0; i < hosts->list->len; i++)
    ((Host *)hosts->list->pdata[i])->all = TRUE;
}

void hosts_retry(Hosts *hosts) {
  for (guint i = 0; i < hosts->list->len; i++) {
    Host *host = hosts->list->pdata[i];
    if (!host->lost)
      continue;
    backoff_forget(hosts->patience, id_of(host));
    g_clear_handle_id(&host->timer, g_source_remove);
    on_retry(host);
  }
}

/* --- a pass --- */

static gboolean is_whole(const Host *host) { return host->all || !host->actual || g_hash_table_size(host->stale) > MOST_SINGLE; }

/* What is known goes along; from now on what happens counts for the pass after. */
static Visit *visit_new(Host *host, gboolean whole) {
  Visit *visit = g_new0(Visit, 1);
  visit->host = host;
  visit->known = (KnownHost){.name = host->name, .connection = host->connection};
  visit->skipped = host->lost != NULL;
  if (visit->skipped) {
    visit->known.error = g_error_new_literal(G_IO_ERROR, G_IO_ERROR_HOST_UNREACHABLE, host->lost);
    return visit;
  }
  if (whole || is_whole(host))
    g_clear_pointer(&host->actual, actual_free);
  visit->known.actual = g_steal_pointer(&host->actual);
  visit->known.stale = g_steal_pointer(&host->stale);
  host->stale = new_names();
  host->all = FALSE;
  return visit;
}

static void visit_free(gpointer data) {
  Visit *visit = data;
  actual_free(visit->known.actual);
  g_clear_pointer(&visit->known.stale, g_hash_table_unref);
  g_clear_error(&visit->known.error);
  g_free(visit);
}

HostsLent *hosts_lend(Hosts *hosts, gboolean whole) {
  HostsLent *lent = g_new0(HostsLent, 1);
  lent->gone = g_steal_pointer(&hosts->gone);
  hosts->gone = g_ptr_array_new_with_free_func(host_free);
  lent->known = g_ptr_array_new_with_free_func(visit_free);
  lent->whole = TRUE;
  for (guint i = 0; i < hosts->list->len; i++) {
    Visit *visit = visit_new(hosts->list->pdata[i], whole);
    lent->whole &= visit->known.actual == NULL;
    g_ptr_array_add(lent->known, visit);
  }
  return lent;
}

typedef struct {
  Visit *visit;
  gboolean anew;
} Attach;

static gpointer attach(gpointer data) {
  Attach *each = data;
  KnownHost *known = &each->visit->known;
  known->error = connection_trouble(known->connection); /* it isn't waited for here */
  if (!known->error)
    host_events_attach(each->visit->host->events, &each->anew, &known->error);
  if (each->anew) /* events were missed */
    g_clear_pointer(&known->actual, actual_free);
  return NULL;
}

/* A thread for each: nobody waits for another one's daemon. */
void hosts_attach(HostsLent *lent, GPtrArray *seen) {
  guint n = lent->known->len;
  g_autofree Attach *attaches = g_new0(Attach, n + 1);
  g_autofree GThread **threads = g_new0(GThread *, n + 1);
  for (guint i = 0; i < n; i++) {
    attaches[i].visit = lent->known->pdata[i];
    if (attaches[i].visit->skipped)
      continue;
    if (i + 1 < n)
      threads[i] = g_thread_new("attach", attach, &attaches[i]);
    else
      attach(&attaches[i]);
  }
  for (guint i = 0; i < n; i++) {
    if (threads[i])
      g_thread_join(threads[i]);
    if (attaches[i].anew)
      g_ptr_array_add(seen, seen_watch_begun(host_events_uri(attaches[i].visit->host->events)));
  }
  for (guint i = 0; i < lent->gone->len; i++)
    host_events_detach(((Host *)lent->gone->pdata[i])->events);
}

gboolean hosts_take_back(Hosts *hosts, HostsLent *lent) {
  gboolean all = TRUE;
  for (guint i = 0; i < lent->known->len; i++) {
    Visit *visit = lent->known->pdata[i];
    Host *host = visit->host;
    if (visit->skipped)
      continue;
    if (visit->known.error) {
      all = FALSE;
      lose(host, visit->known.error->message);
    } else if (!host->lost) {
      host->answered = TRUE;
      host->actual = g_steal_pointer(&visit->known.actual);
      backoff_forget(hosts->patience, id_of(host));
    }
  }
  g_ptr_array_unref(lent->gone);
  g_ptr_array_unref(lent->known);
  g_free(lent);
  return all;
}

/* --- what is told of them --- */

gboolean hosts_connected(const Hosts *hosts) {
  for (guint i = 0; i < hosts->list->len; i++)
    if (!((const Host *)hosts->list->pdata[i])->answered)
      return FALSE;
  return hosts->list->len > 0;
}

static void describe(const Host *host, json_t *into) {
  json_object_set_new(into, "connection", json_text(connection_uri(host->connection)));
  json_object_set_new(into, "connected", json_boolean(host->answered));
  json_object_set_new(into, "noAnswerSince", json_time(connection_opening_since(host->connection)));
}

void hosts_describe(const Hosts *hosts, json_t *state) {
  json_t *named = NULL;
  json_object_set_new(state, "connection", json_text(hosts->uri));
  json_object_set_new(state, "connected", json_boolean(hosts_connected(hosts)));
  json_object_set_new(state, "noAnswerSince", json_null());
  for (guint i = 0; i < hosts->list->len; i++) {
    const Host *host = hosts->list->pdata[i];
    json_t *each = host->name ? json_object() : state;
    describe(host, each);
    if (host->name && !named)
      json_object_set_new(state, "hosts", named = json_object());
    if (host->name)
      json_object_set_new(named, host->name, each);
  }
}
