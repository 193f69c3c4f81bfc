"""The bench on which odmr and odmrd meet the real mail programs. One file per thing."""
