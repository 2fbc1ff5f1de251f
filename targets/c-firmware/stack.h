/* How much stack was in use at most: what is no longer paint was. */
#ifndef STACK_H
#define STACK_H

#include <stdint.h>

/* Of the linker script. */
extern uint32_t _stack_limit, _stack_top;

#define STACK_PAINT 0xDEADBEEFu

static inline void stack_paint(void)
{
    uint32_t *used;
    __asm volatile("mov %0, sp" : "=r"(used));
    /* Volatile, so that it does not become a call of memset, which would use what it paints. */
    for (volatile uint32_t *word = &_stack_limit; word < used; word++)
        *word = STACK_PAINT;
}

/* Bytes. */
static inline uint32_t stack_used(void)
{
    const volatile uint32_t *word = &_stack_limit;
    while (word < &_stack_top && *word == STACK_PAINT)
        word++;
    return (uint32_t)((uintptr_t)&_stack_top - (uintptr_t)word);
}

#endif
