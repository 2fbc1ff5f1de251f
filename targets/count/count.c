/* A QEMU plugin that counts executed instructions of an emulated core.
 *
 *   gcc -O2 -shared -fPIC count.c -o count.so
 *   qemu-aarch64 -cpu cortex-a72 -L /usr/aarch64-linux-gnu -plugin ./count.so PROGRAM
 *   qemu-system-arm -M mps2-an386 -nographic -semihosting -plugin ./count.so -kernel FIRMWARE
 *
 * Writes, to the file that $COUNT_OUT names or else to standard error, one line with the count so far for each mark that the
 * program makes, and one with the total. Marks are calls of getpid (172 on aarch64) in programs for Linux, and the
 * instruction `yield` of Thumb in firmware. With $COUNT_PROFILE, that file gets a line "ADDRESS COUNT" for each
 * instruction that was executed; `profile.py` adds them up by function.
 *
 * A block of instructions is counted when it is entered. So a mark stands for the end of its block, and what lies between
 * two marks in the same place of a program is exact.
 *
 * For QEMU 7.2 (API version 1), as in Debian 12's qemu-user and qemu-system-arm. Debian does not package the header, so
 * the few prototypes stand here.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
int qemu_plugin_version = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *, uint64_t);
typedef void syscall_cb(qemu_plugin_id_t, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                        uint64_t, uint64_t);
void qemu_plugin_register_vcpu_syscall_cb(qemu_plugin_id_t, syscall_cb *);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t, void (*)(qemu_plugin_id_t, void *), void *);

enum { ADD = 0, NO_REGISTERS = 0, GETPID = 172, MOST_BLOCKS = 1 << 20 };

struct block {
    uint64_t times, *addresses;
    size_t instructions;
};

static uint64_t executed;
static FILE *out;
static const char *profile;
/* Blocks are counted where they lie, so this never moves. */
static struct block blocks[MOST_BLOCKS];
static size_t known;

static void mark(void) {
    fprintf(out, "%" PRIu64 "\n", executed);
}

static void on_yield(unsigned cpu, void *data) {
    mark();
}

/* The Thumb encoding, 0xbf10 with the low byte first; instructions of aarch64 have four bytes. */
static int is_yield(const struct qemu_plugin_insn *insn) {
    const unsigned char *bytes = qemu_plugin_insn_data(insn);
    return qemu_plugin_insn_size(insn) == 2 && bytes[0] == 0x10 && bytes[1] == 0xbf;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb) {
    size_t n = qemu_plugin_tb_n_insns(tb);
    qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD, &executed, n);
    for (size_t i = 0; i < n; i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (is_yield(insn)) {
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_yield, NO_REGISTERS, NULL);
        }
    }
    if (profile && known < MOST_BLOCKS) {
        struct block *block = &blocks[known];
        *block = (struct block){0, calloc(n, sizeof *block->addresses), n};
        if (!block->addresses) {
            return;
        }
        known++;
        for (size_t i = 0; i < n; i++) {
            block->addresses[i] = qemu_plugin_insn_vaddr(qemu_plugin_tb_get_insn(tb, i));
        }
        qemu_plugin_register_vcpu_tb_exec_inline(tb, ADD, &block->times, 1);
    }
}

static void on_syscall(qemu_plugin_id_t id, unsigned cpu, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                       uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    if (number == GETPID) {
        mark();
    }
}

static void on_exit_report(qemu_plugin_id_t id, void *data) {
    fprintf(out, "%" PRIu64 "\n", executed);
    fflush(out);
    FILE *to = profile ? fopen(profile, "w") : NULL;
    if (to) {
        for (size_t i = 0; i < known; i++) {
            for (size_t n = 0; n < blocks[i].instructions && blocks[i].times; n++) {
                fprintf(to, "%" PRIx64 " %" PRIu64 "\n", blocks[i].addresses[n], blocks[i].times);
            }
        }
        fclose(to);
    }
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
    const char *path = getenv("COUNT_OUT");
    out = path ? fopen(path, "w") : stderr;
    profile = getenv("COUNT_PROFILE");
    if (!out) {
        return 1;
    }
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
    qemu_plugin_register_vcpu_syscall_cb(id, on_syscall);
    qemu_plugin_register_atexit_cb(id, on_exit_report, NULL);
    return 0;
}
