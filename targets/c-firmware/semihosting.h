/* Printing and ending through a debugger or an emulator. */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

static inline int32_t semihosting_call(int32_t operation, const void *argument)
{
    register int32_t r0 __asm("r0") = operation;
    register const void *r1 __asm("r1") = argument;
    __asm volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

/* A text that ends with a zero byte. */
static inline void semihosting_print(const char *text)
{
    semihosting_call(0x04, text);
}

/* Ends the program: with success for 0. */
_Noreturn static inline void semihosting_exit(int status)
{
    /* ADP_Stopped_ApplicationExit, or ADP_Stopped_RunTimeErrorUnknown. */
    semihosting_call(0x18, (const void *)(uintptr_t)(status == 0 ? 0x20026 : 0x20023));
    for (;;) {
    }
}

#endif
