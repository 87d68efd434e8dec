/* Preloaded into a libvirtd, has it say other things of its host than are so, each as long as a file is there: /run/libvirt-version
 * and /run/qemu-version hold the number of another version; /run/cpu-lacks and /run/qemu-cpu-lacks make its CPU lack something,
 * as libvirt or as QEMU knows it. */
#include <dlfcn.h>
#include <stdio.h>
#include <unistd.h>

enum { INCOMPATIBLE = 0 }; /* virCPUCompareResult */

int virConnectGetLibVersion(void *connect, unsigned long *version);
int virConnectGetVersion(void *connect, unsigned long *version);
int virConnectCompareCPU(void *connect, const char *cpu, unsigned int flags);
int virConnectCompareHypervisorCPU(void *connect, const char *emulator, const char *arch, const char *machine, const char *type, const char *cpu,
                                   unsigned int flags);

static int tell(const char *path, const char *call, void *connect, unsigned long *version) {
  int (*real)(void *, unsigned long *) = (int (*)(void *, unsigned long *))dlsym(RTLD_NEXT, call);
  FILE *file = fopen(path, "r");
  if (!file)
    return real(connect, version);
  int got = fscanf(file, "%lu", version);
  fclose(file);
  return got == 1 ? 0 : -1;
}

int virConnectGetLibVersion(void *connect, unsigned long *version) {
  return tell("/run/libvirt-version", "virConnectGetLibVersion", connect, version);
}

int virConnectGetVersion(void *connect, unsigned long *version) { return tell("/run/qemu-version", "virConnectGetVersion", connect, version); }

int virConnectCompareCPU(void *connect, const char *cpu, unsigned int flags) {
  int (*real)(void *, const char *, unsigned int) = (int (*)(void *, const char *, unsigned int))dlsym(RTLD_NEXT, "virConnectCompareCPU");
  return access("/run/cpu-lacks", F_OK) == 0 ? INCOMPATIBLE : real(connect, cpu, flags);
}

typedef int (*CompareHypervisorCPU)(void *, const char *, const char *, const char *, const char *, const char *, unsigned int);

int virConnectCompareHypervisorCPU(void *connect, const char *emulator, const char *arch, const char *machine, const char *type, const char *cpu,
                                   unsigned int flags) {
  CompareHypervisorCPU real = (CompareHypervisorCPU)dlsym(RTLD_NEXT, "virConnectCompareHypervisorCPU");
  return access("/run/qemu-cpu-lacks", F_OK) == 0 ? INCOMPATIBLE : real(connect, emulator, arch, machine, type, cpu, flags);
}
