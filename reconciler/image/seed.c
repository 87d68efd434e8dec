#include "reconciler/image/seed.h"

#include <jansson.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>
#define LIBISOFS_WITHOUT_LIBBURN 1 /* brings the one struct of it that is needed */
#include <libisofs/libisofs.h>

G_DEFINE_QUARK(reconcile-seed-error, seed_error)

#define SECTOR 2048
#define BORN 946684800 /* 2000-01-01, in UTC */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(IsoImage, iso_image_unref)
G_DEFINE_AUTOPTR_CLEANUP_FUNC(IsoWriteOpts, iso_write_opts_free)

static gboolean went_well(int status, GError **error) {
  if (status >= 0)
    return TRUE;
  g_set_error(error, SEED_ERROR, 0, "cannot make the medium for cloud-init: %s", iso_error_to_msg(status));
  return FALSE;
}

/* Once for the process, and nothing of it on standard error: what fails is told by the caller. */
static gboolean start_library(GError **error) {
  static gsize done;
  static int status;
  if (g_once_init_enter(&done)) {
    status = iso_init();
    if (status >= 0)
      iso_set_msgs_severities("NEVER", "NEVER", "");
    g_once_init_leave(&done, 1);
  }
  return went_well(status, error);
}

/* libisofs takes the content, which it frees with free(). */
static gboolean add_file(IsoImage *image, const char *name, const char *text, GError **error) {
  gsize length = strlen(text);
  unsigned char *content = malloc(length);
  if (content == NULL)
    g_error("out of memory");
  memcpy(content, text, length);
  IsoStream *stream = NULL;
  if (!went_well(iso_memory_stream_new(content, length, &stream), error)) {
    free(content);
    return FALSE;
  }
  if (went_well(iso_tree_add_new_file(iso_image_get_root(image), name, stream, NULL), error))
    return TRUE;
  iso_stream_unref(stream);
  return FALSE;
}

/* JSON is YAML, and quotes what has to be. */
static char *meta_data(const CloudInitSpec *spec) {
  g_autofree char *text = NULL;
  json_t *data = json_object();
  json_object_set_new(data, "instance-id", json_string(spec->instanceId));
  if (given(spec, CloudInitSpec, hostname))
    json_object_set_new(data, "local-hostname", json_string(spec->hostname));
  char *dumped = json_dumps(data, JSON_COMPACT | JSON_SORT_KEYS);
  json_decref(data);
  text = g_strconcat(dumped, "\n", NULL);
  free(dumped);
  return g_steal_pointer(&text);
}

/* cloud-init looks for user-data and meta-data, and takes a missing user-data for a foreign disk. */
static gboolean add_files(IsoImage *image, const CloudInitSpec *spec, GError **error) {
  g_autofree char *meta = meta_data(spec);
  return add_file(image, "meta-data", meta, error) &&
         add_file(image, "user-data", given(spec, CloudInitSpec, userData) ? spec->userData : "#cloud-config\n", error) &&
         (!given(spec, CloudInitSpec, vendorData) || add_file(image, "vendor-data", spec->vendorData, error)) &&
         (!given(spec, CloudInitSpec, networkConfig) || add_file(image, "network-config", spec->networkConfig, error));
}

/* Nothing of this moment, of this user or of this process. */
static IsoWriteOpts *options_new(GError **error) {
  g_autoptr(IsoWriteOpts) options = NULL;
  static char born[] = "2000010100000000";
  gboolean made = went_well(iso_write_opts_new(&options, 0), error) && went_well(iso_write_opts_set_rockridge(options, 1), error) &&
                  went_well(iso_write_opts_set_joliet(options, 1), error) &&
                  went_well(iso_write_opts_set_no_force_dots(options, 3), error) &&
                  went_well(iso_write_opts_set_relaxed_vol_atts(options, 1), error) && /* the label in small letters */
                  went_well(iso_write_opts_set_replace_mode(options, 2, 2, 2, 2), error) &&
                  went_well(iso_write_opts_set_default_dir_mode(options, 0555), error) &&
                  went_well(iso_write_opts_set_default_file_mode(options, 0444), error) &&
                  went_well(iso_write_opts_set_default_uid(options, 0), error) &&
                  went_well(iso_write_opts_set_default_gid(options, 0), error) &&
                  went_well(iso_write_opts_set_replace_timestamps(options, 2), error) &&
                  went_well(iso_write_opts_set_default_timestamp(options, BORN), error) &&
                  went_well(iso_write_opts_set_dir_rec_mtime(options, 7), error) &&
                  went_well(iso_write_opts_set_always_gmt(options, 1), error) &&
                  went_well(iso_write_opts_set_pvd_times(options, BORN, BORN, 0, 0, born), error);
  return made ? g_steal_pointer(&options) : NULL;
}

static GBytes *write_out(IsoImage *image, IsoWriteOpts *options, GError **error) {
  struct burn_source *source = NULL;
  if (!went_well(iso_image_create_burn_source(image, options, &source), error))
    return NULL;
  GByteArray *bytes = g_byte_array_new();
  unsigned char sector[SECTOR];
  int got;
  while ((got = source->read_xt(source, sector, SECTOR)) == SECTOR)
    g_byte_array_append(bytes, sector, SECTOR);
  source->free_data(source);
  free(source);
  if (got == 0 && bytes->len > 0)
    return g_byte_array_free_to_bytes(bytes);
  g_byte_array_unref(bytes);
  g_set_error(error, SEED_ERROR, 0, "cannot make the medium for cloud-init: it was cut off");
  return NULL;
}

GBytes *seed_build(const CloudInitSpec *spec, GError **error) {
  g_autoptr(IsoImage) image = NULL;
  g_autoptr(IsoWriteOpts) options = NULL;
  if (!start_library(error) || !went_well(iso_image_new("cidata", &image), error))
    return NULL;
  static const char *const empty = "";
  iso_image_set_volset_id(image, "cidata");
  iso_image_set_publisher_id(image, empty);
  iso_image_set_data_preparer_id(image, empty);
  iso_image_set_system_id(image, empty);
  iso_image_set_application_id(image, "reconcile");
  if (!add_files(image, spec, error) || !(options = options_new(error)))
    return NULL;
  return write_out(image, options, error);
}
