#include "reconciler/act/backup.h"

#include "reconciler/act/guest_agent.h"
#include "state/fault.h"
#include "state/xml_tree.h"

static char *backup_text(const char *target, const char *path, const char *format) {
  g_autoptr(xmlDoc) doc = xmlNewDoc(BAD_CAST "1.0");
  xmlNode *root = xmlNewNode(NULL, BAD_CAST "domainbackup");
  xmlDocSetRootElement(doc, root);
  xmlNode *disk = xml_add_child(xml_add_child(root, NULL, "disks"), NULL, "disk");
  xml_set_attribute(root, "mode", "push");
  xml_set_attribute(disk, "name", target);
  xml_set_attribute(disk, "backup", "yes");
  xml_set_attribute(disk, "type", "file");
  xml_set_attribute(xml_add_child(disk, NULL, "driver"), "type", format);
  xml_set_attribute(xml_add_child(disk, NULL, "target"), "file", path);
  return xml_text(doc);
}

/* Frozen for the moment of the beginning: what is copied is what the disk holds then. */
static gboolean begin(const ActionContext *context, virDomainPtr domain, const char *text, gboolean quiesce, gboolean *ret_frozen, GError **error) {
  const char *name = virDomainGetName(domain);
  gboolean frozen = FALSE;
  if (quiesce) {
    agent_limit(domain);
    frozen = virDomainFSFreeze(domain, NULL, 0, 0) >= 0;
    if (!frozen)
      act_remark(context, "the guest's file systems couldn't be frozen: the image is as after a power cut");
    FAULT("backup: frozen");
  }
  gboolean begun = virDomainBackupBegin(domain, text, NULL, 0) == 0 || libvirt_fail(error, "cannot begin a backup of domain %s", name);
  g_autoptr(GError) trouble = NULL;
  if (quiesce && !agent_thaw(domain, TRUE, &trouble))
    act_remark(context, "%s", trouble->message);
  if (quiesce)
    agent_unlimit(domain);
  *ret_frozen = frozen;
  return begun;
}

typedef struct {
  int type; /* virDomainJobType */
  guint64 done, total;
  int success;
} Job;

static gboolean read_job(virDomainPtr domain, guint flags, Job *ret_job, GError **error) {
  virTypedParameterPtr params = NULL;
  int count = 0;
  unsigned long long done = 0, total = 0;
  *ret_job = (Job){ 0 };
  const char *name = virDomainGetName(domain);
  if (virDomainGetJobStats(domain, &ret_job->type, &params, &count, flags) < 0)
    return libvirt_fail(error, "cannot read how far the backup of domain %s is", name);
  virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_DISK_PROCESSED, &done);
  virTypedParamsGetULLong(params, count, VIR_DOMAIN_JOB_DISK_TOTAL, &total);
  virTypedParamsGetBoolean(params, count, VIR_DOMAIN_JOB_SUCCESS, &ret_job->success);
  virTypedParamsFree(params, count);
  ret_job->done = done;
  ret_job->total = total;
  return TRUE;
}

static gboolean abort_job(virDomainPtr domain, GError **error) {
  for (;;) {
    Job job;
    if (!read_job(domain, 0, &job, error))
      return FALSE;
    if (job.type == VIR_DOMAIN_JOB_NONE)
      return TRUE;
    virDomainAbortJob(domain);
    g_usleep(100000);
  }
}

static gboolean wait_until_done(const ActionContext *context, const Action *action, virDomainPtr domain, GError **error) {
  for (;;) {
    Job job;
    if (!read_job(domain, 0, &job, error))
      return FALSE;
    if (job.type == VIR_DOMAIN_JOB_NONE)
      break;
    act_progress(context, action, job.done, job.total, "exporting");
    if (!act_sleep(context, 200, error)) {
      abort_job(domain, NULL);
      return FALSE;
    }
  }
  Job ended;
  return read_job(domain, VIR_DOMAIN_JOB_STATS_COMPLETED, &ended, error) &&
         ((ended.type == VIR_DOMAIN_JOB_COMPLETED && ended.success) ||
          act_fail(error, "the backup of domain %s failed: is there room in the pool, and does the machine still run?", virDomainGetName(domain)));
}

gboolean backup_disk(const ActionContext *context, const Action *action, virDomainPtr domain, const char *target, const char *path,
                     const char *format, Consistency *ret_consistency, GError **error) {
  g_autoptr(xmlDoc) live = act_domain_doc(domain, 0, error);
  g_autofree char *text = live ? backup_text(target, path, format) : NULL;
  gboolean frozen = FALSE;
  if (!live || !begin(context, domain, text, agent_is_connected(live), &frozen, error))
    return FALSE;
  FAULT("backup: begun");
  *ret_consistency = frozen ? Consistency_quiesced : Consistency_crash;
  return wait_until_done(context, action, domain, error);
}

gboolean backup_end(const ActionContext *context, virDomainPtr domain, const char *path, GError **error) {
  g_autoptr(xmlDoc) live = act_domain_doc(domain, 0, error);
  g_autoptr(GError) trouble = NULL;
  if (!live)
    return FALSE;
  if (agent_is_connected(live) && !agent_thaw(domain, FALSE, &trouble))
    act_remark(context, "%s", trouble->message);
  g_autofree char *text = virDomainBackupGetXMLDesc(domain, 0);
  g_autoptr(xmlDoc) doc = text ? xml_parse(text, "the backup", NULL) : NULL;
  g_autofree char *file = doc ? xml_path_get(xml_path("disks/disk[@backup='yes']/target/@file"), xmlDocGetRootElement(doc)) : NULL;
  return g_strcmp0(file, path) != 0 || abort_job(domain, error);
}
