/* Runs every check on an emulated board, prints over semihosting. */
#include "check.h"
#include "semihosting.h"

void print(const char *text)
{
    semihosting_print(text);
}

int main(void)
{
    return check();
}
