/* A plugin for QEMU's user mode that counts the instructions a program executes, in kernels (functions called k0_...)
   and elsewhere, and prints both numbers at its end.

   gcc -shared -fPIC -O2 -o count.so count_instructions.c
   qemu-aarch64 -d plugin -plugin ./count.so program

   The few declarations of QEMU's plugin interface, version 1, that it needs are written out here, as distributions
   don't ship its header. */

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { INLINE_ADD_U64 = 0 };

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, void (*)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, int operation, void *counter, uint64_t add);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void (*)(qemu_plugin_id_t, void *), void *data);
void qemu_plugin_outs(const char *text);

__attribute__((visibility("default"))) int qemu_plugin_version = 1;

static uint64_t in_kernels, elsewhere;

static int is_kernel(const char *symbol)
{
    return symbol && symbol[0] == 'k' && symbol[1] >= '0' && symbol[1] <= '9';
}

static void on_block(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    uint64_t *counter = is_kernel(qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0))) ? &in_kernels : &elsewhere;

    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, INLINE_ADD_U64, counter, qemu_plugin_tb_n_insns(block));
}

static void at_exit(qemu_plugin_id_t id, void *data)
{
    char line[80];

    (void)id;
    (void)data;
    snprintf(line, sizeof line, "kernels %" PRIu64 " elsewhere %" PRIu64 "\n", in_kernels, elsewhere);
    qemu_plugin_outs(line);
}

__attribute__((visibility("default"))) int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_block);
    qemu_plugin_register_atexit_cb(id, at_exit, NULL);
    return 0;
}
