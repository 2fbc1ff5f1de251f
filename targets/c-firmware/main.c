/* Runs every check on an emulated board, prints over semihosting. */
#include "check.h"
#include "semihosting.h"
#include "stack.h"

void print(const char *text)
{
    semihosting_print(text);
}

int main(void)
{
    int failures = check();
    print("stack ");
    print_number(stack_used());
    print("\n");
    return failures;
}
