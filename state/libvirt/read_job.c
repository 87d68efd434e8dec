#include "state/libvirt/read_job.h"

static const char *operation_word(int operation) {
  switch (operation) {
  case VIR_DOMAIN_JOB_OPERATION_START: return "start";
  case VIR_DOMAIN_JOB_OPERATION_SAVE: return "save";
  case VIR_DOMAIN_JOB_OPERATION_RESTORE: return "restore";
  case VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN: return "migration in";
  case VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT: return "migration out";
  case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT: return "snapshot";
  case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_REVERT: return "snapshot revert";
  case VIR_DOMAIN_JOB_OPERATION_SNAPSHOT_DELETE: return "snapshot delete";
  case VIR_DOMAIN_JOB_OPERATION_DUMP: return "dump";
  case VIR_DOMAIN_JOB_OPERATION_BACKUP: return "backup";
  default: return "other";
  }
}

static guint64 number(virTypedParameterPtr values, int n, const char *key) {
  unsigned long long value = 0;
  virTypedParamsGetULLong(values, n, key, &value);
  return value;
}

gboolean read_job(virDomainPtr domain, ActualJob *ret_job) {
  virTypedParameterPtr values = NULL;
  int n = 0, type = VIR_DOMAIN_JOB_NONE, operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN, throttle = 0;
  *ret_job = (ActualJob){0};
  if (virDomainGetJobStats(domain, &type, &values, &n, 0) < 0 || type == VIR_DOMAIN_JOB_NONE) {
    virTypedParamsFree(values, n);
    return FALSE;
  }
  virTypedParamsGetInt(values, n, VIR_DOMAIN_JOB_OPERATION, &operation);
  virTypedParamsGetInt(values, n, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, &throttle);
  *ret_job = (ActualJob){
      .operation = operation_word(operation),
      .milliseconds = number(values, n, VIR_DOMAIN_JOB_TIME_ELAPSED),
      .done = number(values, n, VIR_DOMAIN_JOB_DATA_PROCESSED),
      .total = number(values, n, VIR_DOMAIN_JOB_DATA_TOTAL),
      .remaining = number(values, n, VIR_DOMAIN_JOB_DATA_REMAINING),
      .disk_done = number(values, n, VIR_DOMAIN_JOB_DISK_PROCESSED),
      .disk_total = number(values, n, VIR_DOMAIN_JOB_DISK_TOTAL),
      .memory_rate = number(values, n, VIR_DOMAIN_JOB_MEMORY_BPS),
      .disk_rate = number(values, n, VIR_DOMAIN_JOB_DISK_BPS),
      .dirty_rate = number(values, n, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE) * MAX(number(values, n, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE), 1),
      .iteration = number(values, n, VIR_DOMAIN_JOB_MEMORY_ITERATION),
      .throttle = (guint64)MAX(throttle, 0),
  };
  virTypedParamsFree(values, n);
  return TRUE;
}
