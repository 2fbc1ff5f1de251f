/* What the programs for the board and for Linux share: everything that there is to check of the library. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>

/* Prints a text. The program around gives it. */
void print(const char *text);

/* Prints a number in decimal. */
void print_number(uint32_t number);

/* Runs every check and prints what it finds, in the words that `niello golden --log` reads. The number of failures. */
int check(void);

#endif
