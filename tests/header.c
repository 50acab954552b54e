/* A public header alone, and twice: compiled by check_headers.py once per header and standard. */
#include HEADER
#include HEADER

int main(void) { return 0; }
