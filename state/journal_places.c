/* Where machines of a fleet were put: what the runs did that are remembered, on top of what those did that were dropped. */
#include <string.h>

#include "state/journal_private.h"

static void place_free(gpointer data) {
  JournalPlace *place = data;
  g_free(place->host);
  g_free(place->uri);
  g_free(place->source);
  g_free(place);
}

JournalPlace *journal_place_new(const JournalPlace *like) {
  JournalPlace *place = g_new(JournalPlace, 1);
  *place = (JournalPlace){.host = g_strdup(like->host), .uri = g_strdup(like->uri), .epoch = like->epoch, .source = g_strdup(like->source), .ran = like->ran,
                         .sent = like->sent};
  return place;
}

/* By a machine of a source: two sources may each have one of a name. */
typedef struct {
  GHashTable *places;  /* → JournalPlace * */
  GHashTable *seen;    /* → gint64 *: what runs up to this one did to it is in its place already */
  GHashTable *touched; /* a set: those that the actions were about; NULL: nobody wants to know */
  const char *source;  /* of whom machines are asked for; NULL: of all */
  const char *const *formerly; /* what it was called before; NULL: nothing else */
} Places;

static gboolean was_called(const Places *known, const char *source) {
  return known->formerly && source && g_strv_contains(known->formerly, source);
}

/* No name of a machine has a line feed. */
static char *key_of(const Places *known, const char *machine, const char *source) {
  return g_strconcat(machine, "\n", was_called(known, source) ? known->source : source, NULL);
}

typedef struct {
  char *object, *kind, *target, *uri, *source;
  gint64 run, epoch;
  gboolean ended_well;
} Done;

static void done_clear(Done *done) {
  g_free(done->object);
  g_free(done->kind);
  g_free(done->target);
  g_free(done->uri);
  g_free(done->source);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Done, done_clear)

static void put(GHashTable *places, const char *key, const char *host, const Done *done) {
  JournalPlace place = {.host = (char *)host, .uri = done->uri, .epoch = done->epoch, .source = done->source,
                        .sent = !done->ended_well && g_str_equal(done->kind, "domain-migrate")};
  g_hash_table_replace(places, g_strdup(key), journal_place_new(&place));
}

static gboolean undoes(const Done *done) { return g_str_equal(done->kind, "move-undo"); }

static gboolean stays(const Done *done) { return g_str_equal(done->kind, "domain-define") || undoes(done); }

/* What is known to be elsewhere counts more than a copy that is moved or stays, which may be the older one of two: but not what the move
 * gave that was taken back, which is the next epoch. */
static gboolean counts_less(const Done *done, const JournalPlace *before) {
  gboolean known = before && done->epoch != JOURNAL_NO_EPOCH;
  if (!known || g_str_equal(done->kind, "domain-define"))
    return FALSE;
  return before->epoch > done->epoch && !(undoes(done) && done->ended_well && before->epoch - 1 == done->epoch);
}

/* object: "kvm-1/vm/web". A move without target led nobody knows where. */
static void note_place(const Places *known, const Done *done) {
  const char *within = strstr(done->object, "/vm/"), *machine = within ? within + strlen("/vm/") : NULL;
  g_autofree char *key = machine ? key_of(known, machine, done->source) : NULL;
  const gint64 *seen = key ? g_hash_table_lookup(known->seen, key) : NULL;
  if (!key || (seen && done->run <= *seen))
    return;
  g_autofree char *host = g_strndup(done->object, (gsize)(within - done->object));
  const JournalPlace *before = g_hash_table_lookup(known->places, key);
  if (known->touched)
    g_hash_table_add(known->touched, g_strdup(key));
  if (stays(done) || done->target) {
    if (!counts_less(done, before))
      put(known->places, key, stays(done) ? host : done->target, done);
  } else if (!g_str_equal(done->kind, "domain-undefine") || (before && g_str_equal(before->host, host))) {
    g_hash_table_remove(known->places, key);
  }
}

/* What was begun may be there, whatever became of it: a move also when it was refused or broke off, since libvirt may go on with it, until
 * a look shows where the machine is; of one that an older version noted nobody knows. A move that is taken back, or given up, leaves it
 * where it was. */
#define ACTIONS(uri, epoch)                                                                                                            \
  "SELECT object, kind, CASE WHEN " epoch " IS NOT NULL OR result = 'done' THEN target END, " uri ","                                  \
  " (SELECT source FROM run WHERE run.id = action.run), run, ifnull(" epoch ", -1), ifnull(result, '') = 'done'"                       \
  " FROM action WHERE run <= ? AND"                                                                                                    \
  " ((kind IN ('domain-define', 'domain-migrate', 'domain-arrive') AND (result IS NULL OR result IN ('done', 'failed')))"              \
  " OR (kind IN ('domain-migrate', 'domain-arrive', 'move-undo') AND " epoch " IS NOT NULL)"                                           \
  " OR (kind = 'domain-undefine' AND result = 'done')) ORDER BY rowid"

static const char *actions_of(gint64 version) {
  if (version < JOURNAL_WITH_PLACES)
    return ACTIONS("NULL", "NULL");
  return version < JOURNAL_WITH_PLACES_EPOCHS ? ACTIONS("uri", "NULL") : ACTIONS("uri", "epoch");
}

static void read_actions(Journal *journal, gint64 last, const Places *known, GError **error) {
  g_autoptr(Rows) rows = database_query(journal->database, error, actions_of(journal->version), "i", last);
  while (rows && rows_next(rows, error)) {
    g_auto(Done) done = {.object = rows_text(rows, 0), .kind = rows_text(rows, 1), .target = rows_text(rows, 2), .uri = rows_text(rows, 3),
                         .source = rows_text(rows, 4), .run = rows_int(rows, 5), .epoch = rows_int(rows, 6), .ended_well = rows_int(rows, 7) != 0};
    note_place(known, &done);
  }
}

/* An empty host: it was seen to be nowhere. */
#define KEPT(run, epoch, ran, sent) "SELECT machine, host, uri, source, " run ", " epoch ", " ran ", " sent " FROM place"

static const char *kept_of(gint64 version) {
  if (version < JOURNAL_WITH_SEEN)
    return KEPT("0", "-1", "0", "0");
  if (version < JOURNAL_WITH_PLACES_EPOCHS)
    return KEPT("run", "-1", "0", "0");
  if (version < JOURNAL_WITH_RAN)
    return KEPT("run", "ifnull(epoch, -1)", "0", "0");
  return version < JOURNAL_WITH_SENT ? KEPT("run", "ifnull(epoch, -1)", "ran", "0") : KEPT("run", "ifnull(epoch, -1)", "ran", "sent");
}

/* Takes the place. Of what was kept under several names of the source the newest counts, and of what is as new that under today's. */
static void keep(const Places *known, const char *machine, JournalPlace *place, gint64 run) {
  g_autofree char *key = key_of(known, machine, place->source);
  const gint64 *other = g_hash_table_lookup(known->seen, key);
  if (other && (*other > run || (*other == run && was_called(known, place->source)))) {
    place_free(place);
    return;
  }
  g_hash_table_replace(known->seen, g_strdup(key), g_memdup2(&run, sizeof run));
  g_hash_table_remove(known->places, key);
  if (*place->host)
    g_hash_table_replace(known->places, g_steal_pointer(&key), place);
  else
    place_free(place);
}

static void read_kept(Journal *journal, const Places *known, GError **error) {
  g_autoptr(Rows) rows = database_query(journal->database, error, kept_of(journal->version), "");
  while (rows && rows_next(rows, error)) {
    g_autofree char *machine = rows_text(rows, 0);
    JournalPlace *place = g_new(JournalPlace, 1);
    *place = (JournalPlace){.host = rows_text(rows, 1), .uri = rows_text(rows, 2), .source = rows_text(rows, 3), .epoch = rows_int(rows, 5),
                             .ran = rows_int(rows, 6) != 0, .sent = rows_int(rows, 7) != 0};
    keep(known, machine, place, rows_int(rows, 4));
  }
}

static gboolean read_places(Journal *journal, gint64 last, const Places *known, GError **error) {
  GError *trouble = NULL;
  if (journal->version >= JOURNAL_WITH_PLACES)
    read_kept(journal, known, &trouble);
  if (!trouble)
    read_actions(journal, last, known, &trouble);
  if (trouble)
    g_propagate_error(error, trouble);
  return !trouble;
}

static GHashTable *seen_new(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free); }

static GHashTable *places_new(void) { return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, place_free); }

/* Of the source asked for, by the machine's name. */
static GHashTable *by_machine(const Places *known) {
  g_autofree char *ending = g_strconcat("\n", known->source, NULL);
  GHashTable *places = places_new();
  GHashTableIter iter;
  const char *key;
  const JournalPlace *place;
  g_hash_table_iter_init(&iter, known->places);
  while (g_hash_table_iter_next(&iter, (gpointer *)&key, (gpointer *)&place))
    if (g_str_has_suffix(key, ending) && strchr(key, '\n') == key + strlen(key) - strlen(ending))
      g_hash_table_replace(places, g_strndup(key, strlen(key) - strlen(ending)), journal_place_new(place));
  return places;
}

GHashTable *journal_whereabouts(Journal *journal, const char *source, const char *const *formerly, GError **error) {
  g_autoptr(GHashTable) places = places_new(), seen = seen_new();
  if (journal->version < JOURNAL_WITH_TARGETS)
    return g_steal_pointer(&places); /* it has no targets, and is only read */
  const Places known = {.places = places, .seen = seen, .source = source, .formerly = formerly};
  g_mutex_lock(&journal->lock);
  gboolean read = read_places(journal, G_MAXINT64, &known, error);
  g_mutex_unlock(&journal->lock);
  if (read)
    return by_machine(&known);
  g_prefix_error(error, "cannot read in the journal where machines were put: ");
  return NULL;
}

static gboolean write_place(Database *database, const char *machine, const char *source, const JournalPlace *place /* NULL: nowhere */, gint64 run, GError **error) {
  return database_run(database, error, "INSERT OR REPLACE INTO place (machine, host, uri, source, epoch, run, ran, sent) VALUES (?, ?, ?, ?, nullif(?, -1), ?, ?, ?)", "ssssiiii",
                      machine,
                      place && place->host ? place->host : "", place ? place->uri : NULL, source, place ? place->epoch : JOURNAL_NO_EPOCH, run,
                      (gint64)(place && place->ran), (gint64)(place && place->sent));
}

static gint64 newest_run(Database *database, GError **error) {
  g_autoptr(Rows) rows = database_query(database, error, "SELECT ifnull(max(id), 0) FROM run", "");
  return rows && rows_next(rows, error) ? rows_int(rows, 0) : -1;
}

gboolean journal_note_place(Journal *journal, const char *machine, const JournalPlace *place, GError **error) {
  g_mutex_lock(&journal->lock);
  gint64 newest = newest_run(journal->database, error);
  gboolean done = newest >= 0 && write_place(journal->database, machine, place->source, place, newest, error);
  g_mutex_unlock(&journal->lock);
  if (!done)
    g_prefix_error(error, "cannot write the journal: ");
  return done;
}

/* That a machine is nowhere needn't be said where no run is left that put it somewhere. */
static gboolean drop_nowhere(Database *database, GError **error) {
  return database_run(database, error, "DELETE FROM place WHERE host = '' AND run < (SELECT min(id) FROM run) AND NOT EXISTS"
                      " (SELECT 1 FROM place AS other WHERE other.machine = place.machine AND other.source <> place.source)", "");
}

gboolean journal_places_keep(Journal *journal, gint64 last, GError **error) {
  g_autoptr(GHashTable) places = places_new(), seen = seen_new(), touched = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  gboolean kept = read_places(journal, last, &(Places){.places = places, .seen = seen, .touched = touched}, error);
  GHashTableIter iter;
  const char *key;
  g_hash_table_iter_init(&iter, touched);
  while (kept && g_hash_table_iter_next(&iter, (gpointer *)&key, NULL)) {
    g_auto(GStrv) parts = g_strsplit(key, "\n", 2);
    kept = write_place(journal->database, parts[0], parts[1], g_hash_table_lookup(places, key), last, error);
  }
  return kept && drop_nowhere(journal->database, error);
}
