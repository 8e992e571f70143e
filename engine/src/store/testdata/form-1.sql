-- A database of form 1, as the first version of the program left it after three runs: a project
-- with two nodes, of which one lost its result, and a project that never ran.
CREATE TABLE results (
    key BLOB PRIMARY KEY, digest TEXT NOT NULL, kind INTEGER NOT NULL, seconds REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE steps (
    key BLOB PRIMARY KEY, diff_id TEXT, digest TEXT, size INTEGER, media_type TEXT
) WITHOUT ROWID;
CREATE TABLE records (
    project TEXT NOT NULL, node TEXT NOT NULL, key BLOB NOT NULL, record TEXT NOT NULL,
    PRIMARY KEY (project, node)
) WITHOUT ROWID;
CREATE TABLE memo (
    kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID;
CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE);
CREATE TABLE files (
    folder INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL,
    mtime INTEGER NOT NULL, ctime INTEGER NOT NULL, inode INTEGER NOT NULL,
    digest BLOB NOT NULL, PRIMARY KEY (folder, path)
) WITHOUT ROWID;
CREATE TABLE roots (
    project TEXT NOT NULL, name TEXT NOT NULL, digest TEXT NOT NULL, PRIMARY KEY (project, name)
) WITHOUT ROWID;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, project TEXT NOT NULL, started INTEGER NOT NULL,
    ended INTEGER, exit INTEGER, built INTEGER, kept INTEGER, failed INTEGER, skipped INTEGER
);
PRAGMA user_version = 1;
INSERT INTO runs VALUES (1, 'p', 1000, 1010, 0, 2, 0, 0, 0);
INSERT INTO runs VALUES (2, 'p', 2000, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO runs VALUES (3, 'p', 3000, 3004, 1, 1, 0, 1, 0);
INSERT INTO results VALUES (x'0000000000000000000000000000000000000000000000000000000000000001', 'sha256:aa', 0, 4.5);
INSERT INTO records VALUES ('p', 'app@linux/amd64', x'0000000000000000000000000000000000000000000000000000000000000001',
    '{"version":1,"fields":[["platform","linux/amd64"],["from","scratch"]]}');
INSERT INTO records VALUES ('p', 'lost@linux/amd64', x'0000000000000000000000000000000000000000000000000000000000000002',
    '{"version":1,"fields":[["platform","linux/amd64"]]}');
INSERT INTO records VALUES ('q', 'app@linux/amd64', x'0000000000000000000000000000000000000000000000000000000000000001',
    '{"version":1,"fields":[["platform","linux/amd64"],["from","scratch"]]}');
INSERT INTO memo VALUES ('k', 'a', '1');
