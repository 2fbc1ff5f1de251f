/* From reset to main on a Cortex-M4F: vector table, initial values, floating point unit, paint on the stack. */
#include <stdint.h>

#include "semihosting.h"
#include "stack.h"

/* Of the linker script. */
extern uint32_t _data_load, _data_start, _data_end, _bss_start, _bss_end;

int main(void);
void reset(void);

/* Coprocessor access control: full access to the floating point unit, whose registers the calling convention uses. */
#define CPACR (*(volatile uint32_t *)0xE000ED88)

void reset(void)
{
    CPACR |= 0xFu << 20;
    __asm volatile("dsb\n\tisb" ::: "memory");
    const uint32_t *from = &_data_load;
    for (uint32_t *to = &_data_start; to < &_data_end; to++)
        *to = *from++;
    for (uint32_t *to = &_bss_start; to < &_bss_end; to++)
        *to = 0;
    stack_paint();
    semihosting_exit(main());
}

static void fault(void)
{
    semihosting_print("fault\n");
    semihosting_exit(1);
}

/* Stack, reset, and the faults; the board's interrupts stay off. */
static const struct {
    const uint32_t *stack;
    void (*handlers[15])(void);
} vectors __attribute__((section(".vectors"), used)) = {
    &_stack_top,
    {reset, fault, fault, fault, fault, fault},
};
