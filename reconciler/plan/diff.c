/* Walks the rows of a table over six versions of one spec side by side. A version that
 * doesn't have a group or an item is NULL from there on down; NULL gives nothing. */
#include "reconciler/plan/diff.h"

#include "reconciler/plan/context.h"
#include "schema/value.h"

typedef enum { SIDE_DESIRED, SIDE_APPLIED, SIDE_PERSISTENT, SIDE_LIVE, SIDE_STARTED, SIDE_LEAVING, SIDE_N } Side;

/* A struct that is walked. */
typedef struct Frame Frame;
struct Frame {
  const FieldTable *table;
  gconstpointer side[SIDE_N];
  const Frame *outer;  /* the struct that it is in; NULL: none */
  const Field *row;    /* … and the row there */
  gconstpointer named; /* an item of a list: as a side that has it names it; NULL: a group */
  const char *match;   /* value by which the nearest item is found; NULL: in none */
};

typedef struct {
  GPtrArray *changes;
  gboolean recorded;  /* we have applied something before */
  gboolean running;
  gboolean started_known;
} Walk;

static void walk_struct(Walk *walk, const Frame *frame);

static gboolean has(const Frame *frame, Side side, const Field *field) {
  return frame->side[side] != NULL && field_given(frame->table, frame->side[side], field);
}

static char *shown(const Frame *frame, Side side, const Field *field) {
  return has(frame, side, field) ? value_format(field, field_member(field, frame->side[side])) : NULL;
}

static char *row_path(const Frame *frame, const Field *field);

/* Paths are made for what differs: mostly nothing does. */
static char *frame_path(const Frame *frame) {
  g_autofree char *row = row_path(frame->outer, frame->row);
  g_autofree char *key = frame->named != NULL ? item_key(frame->table, frame->named) : NULL;
  return frame->named == NULL ? g_steal_pointer(&row) : g_strdup_printf("%s[%s]", row, key != NULL ? key : frame->match);
}

static char *row_path(const Frame *frame, const Field *field) {
  g_autofree char *path = frame->outer != NULL ? frame_path(frame) : NULL;
  return path != NULL ? g_strconcat(path, ".", field->key, NULL) : g_strdup(field->key);
}

/* Path of the nearest device's row, interned; NULL: none. */
static const char *device_path(const Frame *frame) {
  for (; frame->outer != NULL; frame = frame->outer) {
    g_autofree char *row = frame->named != NULL ? row_path(frame->outer, frame->row) : NULL;
    if (row != NULL || frame->row->device)
      return g_intern_string(row != NULL ? row : frame->row->key);
  }
  return NULL;
}

static FieldChange *add_change(Walk *walk, const Frame *frame, const Field *field, char *path /* taken */) {
  FieldChange *change = g_new0(FieldChange, 1);
  change->path = path;
  change->field = field;
  change->list = device_path(frame);
  change->match = g_strdup(frame->match);
  change->effect = field->effect;
  change->call = field->call;
  g_ptr_array_add(walk->changes, change);
  return change;
}

/* Whether a side has something else than the desired value or, without one, than what a
 * missing node means. A secret can't be read: it is there or not. */
static gboolean side_differs(const Frame *frame, Side side, const Field *field) {
  gboolean found = has(frame, side, field);
  if (!has(frame, SIDE_DESIRED, field)) {
    g_autofree char *text = shown(frame, side, field);
    return g_strcmp0(text, field->absent) != 0;
  }
  if (!found || field->secret)
    return !found;
  return !value_is_met(field, field_member(field, frame->side[SIDE_DESIRED]), field_member(field, frame->side[side]), side == SIDE_LIVE);
}

/* The side that tells what the running machine has: its live XML, or the record that it was
 * started with where the XML doesn't tell. */
static Side live_side(const Field *field) { return field->volatile_live ? SIDE_STARTED : SIDE_LIVE; }

static gboolean in_xml(const Field *field) { return field->xml != NULL || field->from_host; }

/* What left the file, and with it the definition, in an earlier run, and is still in the machine
 * that was started with it: pending until it is started anew. */
static gboolean is_left_over(const Walk *walk, const Frame *frame, const Field *field) {
  if (!walk->running || !context_stays(field) || field->unmanage || field->xml == NULL ||
      !has(frame, SIDE_STARTED, field) || has(frame, SIDE_APPLIED, field))
    return FALSE;
  g_autofree char *defined = shown(frame, SIDE_PERSISTENT, field), *started = shown(frame, SIDE_STARTED, field);
  g_autofree char *live = shown(frame, live_side(field), field);
  gboolean reset = defined == NULL || g_strcmp0(defined, field->absent) == 0;
  gboolean is_set_live = field->effect != EFFECT_NEXT_START; /* it may have changed since the start */
  return reset && g_strcmp0(started, field->absent) != 0 && (is_set_live ? live != NULL : g_strcmp0(live, started) == 0);
}

static void walk_leaf(Walk *walk, const Frame *frame, const Field *field) {
  gboolean wanted = has(frame, SIDE_DESIRED, field);
  gboolean dropped = !wanted && context_resets(frame->table, field, frame->side[SIDE_DESIRED], frame->side[SIDE_APPLIED],
                                               frame->side[SIDE_PERSISTENT]);
  gboolean left_over = !wanted && !dropped && is_left_over(walk, frame, field);
  if (!wanted && !dropped && !left_over)
    return;
  /* What says how to create can't be compared with a thing that we didn't make. */
  if (field->create_only && !(wanted && has(frame, SIDE_APPLIED, field)))
    return;
  if (!in_xml(field) && !walk->recorded)
    return;

  Side stored = in_xml(field) ? SIDE_PERSISTENT : SIDE_APPLIED;
  gboolean persistent = !left_over && side_differs(frame, stored, field);
  gboolean live = left_over;
  if (walk->running && !left_over) {
    Side side = live_side(field);
    if (!in_xml(field)) /* a machine that was started without one hasn't got it since */
      live = (persistent && field->effect != EFFECT_NONE) ||
             (field->volatile_live && wanted && walk->started_known && !has(frame, SIDE_STARTED, field));
    else if (side == SIDE_LIVE || walk->started_known)
      live = side_differs(frame, side, field);
  }
  if (!persistent && !live)
    return;

  FieldChange *change = add_change(walk, frame, field, row_path(frame, field));
  change->from = shown(frame, persistent ? stored : live_side(field), field);
  change->to = wanted ? shown(frame, SIDE_DESIRED, field) : g_strdup(field->absent);
  change->persistent = persistent;
  change->live = live;
}

/* A device that is there once or not at all (rng, tpm). Returns TRUE when there's nothing
 * left to compare field by field. */
static gboolean walk_device_group(Walk *walk, const Frame *frame, const Field *field) {
  gboolean wanted = has(frame, SIDE_DESIRED, field);
  gboolean applied = has(frame, SIDE_APPLIED, field), defined = has(frame, SIDE_PERSISTENT, field);
  gboolean left_over = !applied && !defined && has(frame, SIDE_STARTED, field);
  if (!wanted && (!(applied || left_over) || field->unmanage))
    return TRUE;
  gboolean persistent = defined != wanted;
  gboolean live = walk->running && has(frame, SIDE_LIVE, field) != wanted;
  if (persistent || live) {
    FieldChange *change = add_change(walk, frame, field, row_path(frame, field));
    change->whole = TRUE;
    change->persistent = persistent;
    change->live = live;
    *(wanted ? &change->to : &change->from) = g_strdup("present");
  }
  return !wanted || persistent;
}

static void walk_group(Walk *walk, const Frame *frame, const Field *field) {
  if (field->device && walk_device_group(walk, frame, field))
    return;
  if (!has(frame, SIDE_DESIRED, field) && !has(frame, SIDE_APPLIED, field) && !has(frame, SIDE_STARTED, field) &&
      !has(frame, SIDE_LEAVING, field))
    return;
  Frame inner = {.table = field->sub, .outer = frame, .row = field, .match = frame->match};
  for (Side side = 0; side < SIDE_N; side++)
    inner.side[side] = has(frame, side, field) ? field_member(field, frame->side[side]) : NULL;
  walk_struct(walk, &inner);
}

static gpointer find_item(const Frame *frame, Side side, const Field *field, const char *match) {
  if (!has(frame, side, field))
    return NULL;
  GPtrArray *items = *(GPtrArray **)field_member(field, frame->side[side]);
  return list_find(field->sub, items, table_match_field(field->sub), match);
}

/* What tells of items that left before, and are still in the machine. Those that can be plugged are noted when they leave;
 * of others the machine has what it was started with. */
static Side left_over_side(const Field *field) {
  return field->device && field->call == CALL_ATTACH_DEVICE ? SIDE_LEAVING : SIDE_STARTED;
}

static void add_item_change(Walk *walk, const Frame *item, const Field *field, gboolean wanted, gboolean persistent, gboolean live) {
  FieldChange *change = add_change(walk, item, field, frame_path(item));
  change->whole = TRUE;
  change->persistent = persistent;
  change->live = live;
  gconstpointer item_shown = wanted ? item->side[SIDE_DESIRED] : item->side[SIDE_APPLIED];
  if (item_shown == NULL)
    item_shown = item->side[left_over_side(field)];
  *(wanted ? &change->to : &change->from) = context_item_summary(field->sub, item_shown);
}

static void walk_item(Walk *walk, const Frame *frame, const Field *field, gconstpointer named, const char *match) {
  Frame item = {.table = field->sub, .outer = frame, .row = field, .named = named, .match = match};
  for (Side side = 0; side < SIDE_N; side++)
    item.side[side] = find_item(frame, side, field, match);

  Side live_from = live_side(field);
  gboolean live_known = walk->running && (live_from == SIDE_LIVE || walk->started_known);
  gboolean wanted = item.side[SIDE_DESIRED] != NULL;
  gboolean defined = in_xml(field);
  if (!defined && !walk->recorded)
    return;
  gboolean persistent = (item.side[defined ? SIDE_PERSISTENT : SIDE_APPLIED] != NULL) != wanted;
  gboolean live = defined && live_known && (item.side[live_from] != NULL) != wanted;
  if (persistent || live)
    add_item_change(walk, &item, field, wanted, persistent, live);
  if (!wanted || (persistent && (live || !live_known)))
    return;
  if (persistent) /* comes as a whole to the definition; the machine has one, perhaps another */
    item.side[SIDE_PERSISTENT] = item.side[SIDE_APPLIED] = item.side[SIDE_DESIRED];
  if (live || live_from == SIDE_STARTED) /* it comes as a whole, or can't be seen live */
    item.side[SIDE_LIVE] = live ? NULL : item.side[SIDE_STARTED];
  gboolean running = walk->running;
  walk->running = live_known && !live;
  walk_struct(walk, &item);
  walk->running = running;
}

/* Items of a side that no earlier side has. */
static void walk_items(Walk *walk, const Frame *frame, const Field *field, Side side, guint n_earlier, const Side *earlier) {
  GPtrArray *items = has(frame, side, field) ? *(GPtrArray **)field_member(field, frame->side[side]) : NULL;
  for (guint i = 0; items != NULL && i < items->len; i++) {
    g_autofree char *match = item_match(field->sub, items->pdata[i]);
    gboolean known = match == NULL;
    for (guint n = 0; n < n_earlier && !known; n++)
      known = find_item(frame, earlier[n], field, match) != NULL;
    if (!known)
      walk_item(walk, frame, field, items->pdata[i], match);
  }
}

/* What is wanted, what left the file, and what left it earlier but is still in the machine. */
static void walk_list(Walk *walk, const Frame *frame, const Field *field) {
  static const Side earlier[] = {SIDE_DESIRED, SIDE_APPLIED, SIDE_PERSISTENT};
  walk_items(walk, frame, field, SIDE_DESIRED, 0, earlier);
  walk_items(walk, frame, field, SIDE_APPLIED, 1, earlier);
  if (walk->running && (field->device || field->effect == EFFECT_NEXT_START))
    walk_items(walk, frame, field, left_over_side(field), 3, earlier);
}

static void walk_struct(Walk *walk, const Frame *frame) {
  for (guint i = 0; i < frame->table->n_fields; i++) {
    const Field *field = &frame->table->fields[i];
    if (field->key_field || field->match_field)
      continue;
    if (field->type == VALUE_GROUP)
      walk_group(walk, frame, field);
    else if (field->type == VALUE_LIST)
      walk_list(walk, frame, field);
    else
      walk_leaf(walk, frame, field);
  }
}

DiffInput diff_input(gconstpointer desired, gconstpointer applied, const ActualDomain *found) {
  return (DiffInput){
      .table = &VmSpec_table,
      .desired = desired,
      .applied = applied,
      .persistent = &found->persistent,
      .live = found->live,
      .has_numa = found->has_numa,
      .started = found->started != NULL ? &found->started->spec : NULL,
      .balloon = found->balloon,
      .leaving = found->leaving,
  };
}

GPtrArray *diff_spec(const DiffInput *input) {
  Walk walk = {
      .changes = g_ptr_array_new_with_free_func((GDestroyNotify)field_change_free),
      .recorded = input->applied != NULL,
      .running = input->live != NULL,
      .started_known = input->started != NULL,
  };
  Frame root = {
      .table = input->table,
      .side = {[SIDE_DESIRED] = input->desired, [SIDE_APPLIED] = input->applied, [SIDE_PERSISTENT] = input->persistent,
               [SIDE_LIVE] = input->live, [SIDE_STARTED] = input->started, [SIDE_LEAVING] = input->leaving},
  };
  walk_struct(&walk, &root);
  for (guint i = walk.changes->len; i > 0; i--) {
    FieldChange *change = walk.changes->pdata[i - 1];
    context_apply(input, change);
    if (!change->persistent && !change->live)
      g_ptr_array_remove_index(walk.changes, i - 1);
  }
  return g_steal_pointer(&walk.changes);
}
