/* A folder of a test's own, with folders in it, gone with everything at the end. */
#ifndef ND_TEST_FOLDER_H
#define ND_TEST_FOLDER_H

/* Makes it. One at a time; its path, like those below, is valid until nd_test_folder_remove(). */
const char *nd_test_folder_make(void);
void nd_test_folder_remove(void);

/* Path of a file in it. */
const char *nd_test_file(const char *name);

/* Makes a folder in it, with the folders above. */
void nd_test_subfolder(const char *name);

/* Writes a text file in it. */
void nd_test_write_text(const char *name, const char *text);

#endif
