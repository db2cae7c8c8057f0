-- Made by golden.rs; BLESS=1 writes it.

---- Key ["c]0"], misfits Fail

-- insert
INSERT INTO [my.schema].[or]]ders's] ([c]]0], [c]]1], [c]]2], [c]]3], [c]]4], [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], [c]]13]) VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(float, @P7), CONVERT(nvarchar(max), @P8), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14));

-- insert, several rows
INSERT INTO [my.schema].[or]]ders's] ([c]]0], [c]]1], [c]]2], [c]]3], [c]]4], [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], [c]]13]) VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(float, @P7), CONVERT(nvarchar(max), @P8), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14)), (CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20), CONVERT(float, @P21), CONVERT(nvarchar(max), @P22), CONVERT(date, @P23, 23), CONVERT(time(3), @P24, 121), CONVERT(datetime2(6), @P25, 121), CONVERT(datetimeoffset(6), @P26, 121), CONVERT(decimal(10, 2), @P27), CONVERT(uniqueidentifier, @P28));

-- insert, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] float NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] date NULL, [c9] time(3) NULL, [c10] datetime2(6) NULL, [c11] datetimeoffset(6) NULL, [c12] decimal(10, 2) NULL, [c13] uniqueidentifier NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- insert, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(float, @P7), CONVERT(nvarchar(max), @P8), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14)), (CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20), CONVERT(float, @P21), CONVERT(nvarchar(max), @P22), CONVERT(date, @P23, 23), CONVERT(time(3), @P24, 121), CONVERT(datetime2(6), @P25, 121), CONVERT(datetimeoffset(6), @P26, 121), CONVERT(decimal(10, 2), @P27), CONVERT(uniqueidentifier, @P28));

-- insert, by way of it
INSERT INTO [my.schema].[or]]ders's] ([c]]0], [c]]1], [c]]2], [c]]3], [c]]4], [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], [c]]13]) SELECT v.[c0], v.[c1], v.[c2], v.[c3], v.[c4], v.[c5], v.[c6], v.[c7], v.[c8], v.[c9], v.[c10], v.[c11], v.[c12], v.[c13] FROM #_replicator_stage_7 AS v;

-- update of nothing
UPDATE [my.schema].[or]]ders's] SET [c]]0] = [c]]0] WHERE [c]]0] = CONVERT(bit, @P1);

-- update of nothing, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of nothing, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1)), (CONVERT(bit, @P2));

-- update of nothing, by way of it
UPDATE t SET [c]]0] = t.[c]]0] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]0] = v.[c0];

-- update
UPDATE [my.schema].[or]]ders's] SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(float, @P2) WHERE [c]]0] = CONVERT(bit, @P3);

-- update, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] varbinary(max) NULL, [c1] float NULL, [c2] bit NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(varbinary(max), @P1), CONVERT(float, @P2), CONVERT(bit, @P3)), (CONVERT(varbinary(max), @P4), CONVERT(float, @P5), CONVERT(bit, @P6));

-- update, by way of it
UPDATE t SET [c]]1] = v.[c0], [c]]6] = v.[c1] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]0] = v.[c2];

-- update of all columns
UPDATE [my.schema].[or]]ders's] SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(float, @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(date, @P9, 23), [c]]9] = CONVERT(time(3), @P10, 121), [c]]10] = CONVERT(datetime2(6), @P11, 121), [c]]11] = CONVERT(datetimeoffset(6), @P12, 121), [c]]12] = CONVERT(decimal(10, 2), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) WHERE [c]]0] = CONVERT(bit, @P15);

-- update of all columns, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] float NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] date NULL, [c9] time(3) NULL, [c10] datetime2(6) NULL, [c11] datetimeoffset(6) NULL, [c12] decimal(10, 2) NULL, [c13] uniqueidentifier NULL, [c14] bit NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of all columns, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(float, @P7), CONVERT(nvarchar(max), @P8), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14), CONVERT(bit, @P15)), (CONVERT(bit, @P16), CONVERT(varbinary(max), @P17), CONVERT(bigint, @P18), CONVERT(smallint, @P19), CONVERT(int, @P20), CONVERT(nvarchar(max), @P21), CONVERT(float, @P22), CONVERT(nvarchar(max), @P23), CONVERT(date, @P24, 23), CONVERT(time(3), @P25, 121), CONVERT(datetime2(6), @P26, 121), CONVERT(datetimeoffset(6), @P27, 121), CONVERT(decimal(10, 2), @P28), CONVERT(uniqueidentifier, @P29), CONVERT(bit, @P30));

-- update of all columns, by way of it
UPDATE t SET [c]]0] = v.[c0], [c]]1] = v.[c1], [c]]2] = v.[c2], [c]]3] = v.[c3], [c]]4] = v.[c4], [c]]5] = v.[c5], [c]]6] = v.[c6], [c]]7] = v.[c7], [c]]8] = v.[c8], [c]]9] = v.[c9], [c]]10] = v.[c10], [c]]11] = v.[c11], [c]]12] = v.[c12], [c]]13] = v.[c13] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]0] = v.[c14];

-- delete
DELETE FROM [my.schema].[or]]ders's] WHERE [c]]0] = CONVERT(bit, @P1);

-- delete, by way of it
DELETE t FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]0] = v.[c0];

-- truncate
DELETE FROM [my.schema].[or]]ders's];

-- rows that are read
SELECT CONVERT(nvarchar(41), [c]]0]), [c]]1], CONVERT(nvarchar(41), [c]]2]), CONVERT(nvarchar(41), [c]]3]), CONVERT(nvarchar(41), [c]]4]), [c]]5], RTRIM(CONVERT(nvarchar(41), [c]]6], 3)), [c]]7], CONVERT(nvarchar(41), [c]]8], 23), CONVERT(nvarchar(41), [c]]9], 121), CONVERT(nvarchar(41), [c]]10], 121), CONVERT(nvarchar(41), [c]]11], 121), CONVERT(nvarchar(41), [c]]12]), LOWER(CONVERT(nvarchar(41), [c]]13])) FROM [my.schema].[or]]ders's] WITH (TABLOCK);

-- table
CREATE TABLE [my.schema].[or]]ders's] ([c]]0] bit NOT NULL, [c]]1] varbinary(max) NULL, [c]]2] bigint NULL, [c]]3] smallint NULL, [c]]4] int NULL, [c]]5] nvarchar(max) NULL, [c]]6] float NULL, [c]]7] nvarchar(20) NULL, [c]]8] date NULL, [c]]9] time(3) NULL, [c]]10] datetime2(6) NULL, [c]]11] datetimeoffset(6) NULL, [c]]12] decimal(10, 2) NULL, [c]]13] uniqueidentifier NULL, PRIMARY KEY CLUSTERED ([c]]0]));

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]0] bit NOT NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]0] = CONVERT(bit, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]0] = NULL WHERE [c]]0] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]0] bit NOT NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]1] varbinary(max) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]1] = CONVERT(varbinary(max), @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]1] = NULL WHERE [c]]1] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]1] varbinary(max) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]2] bigint NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]2] = CONVERT(bigint, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]2] = NULL WHERE [c]]2] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]2] bigint NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]3] smallint NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]3] = CONVERT(smallint, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]3] = NULL WHERE [c]]3] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]3] smallint NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]4] int NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]4] = CONVERT(int, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]4] = NULL WHERE [c]]4] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]4] int NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]5] nvarchar(max) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]5] = CONVERT(nvarchar(max), @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]5] = NULL WHERE [c]]5] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]5] nvarchar(max) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]6] float NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]6] = CONVERT(float, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]6] = NULL WHERE [c]]6] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]6] float NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]7] nvarchar(20) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]7] = CONVERT(nvarchar(max), @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]7] = NULL WHERE [c]]7] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]7] nvarchar(20) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]8] date NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]8] = CONVERT(date, @P1, 23);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]8] = NULL WHERE [c]]8] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]8] date NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]9] time(3) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]9] = CONVERT(time(3), @P1, 121);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]9] = NULL WHERE [c]]9] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]9] time(3) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]10] datetime2(6) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]10] = CONVERT(datetime2(6), @P1, 121);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]10] = NULL WHERE [c]]10] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]10] datetime2(6) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]11] datetimeoffset(6) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]11] = CONVERT(datetimeoffset(6), @P1, 121);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]11] = NULL WHERE [c]]11] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]11] datetimeoffset(6) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]12] decimal(10, 2) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]12] = CONVERT(decimal(10, 2), @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]12] = NULL WHERE [c]]12] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]12] decimal(10, 2) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]13] uniqueidentifier NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]13] = CONVERT(uniqueidentifier, @P1);

-- column, emptied
UPDATE [my.schema].[or]]ders's] SET [c]]13] = NULL WHERE [c]]13] IS NOT NULL;

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]13] uniqueidentifier NULL;

-- name
EXEC sp_rename N'[my.schema].[or]]ders''s].[it''s]', N'new]', N'COLUMN';

---- Key ["c]0"], misfits Text

-- insert
INSERT INTO [my.schema].[or]]ders's] ([c]]0], [c]]1], [c]]2], [c]]3], [c]]4], [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], [c]]13]) VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(nvarchar(max), @P8), CONVERT(nvarchar(max), @P9), CONVERT(nvarchar(max), @P10), CONVERT(nvarchar(max), @P11), CONVERT(nvarchar(max), @P12), CONVERT(nvarchar(max), @P13), CONVERT(uniqueidentifier, @P14));

-- insert, several rows
INSERT INTO [my.schema].[or]]ders's] ([c]]0], [c]]1], [c]]2], [c]]3], [c]]4], [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], [c]]13]) VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(nvarchar(max), @P8), CONVERT(nvarchar(max), @P9), CONVERT(nvarchar(max), @P10), CONVERT(nvarchar(max), @P11), CONVERT(nvarchar(max), @P12), CONVERT(nvarchar(max), @P13), CONVERT(uniqueidentifier, @P14)), (CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20), CONVERT(nvarchar(max), @P21), CONVERT(nvarchar(max), @P22), CONVERT(nvarchar(max), @P23), CONVERT(nvarchar(max), @P24), CONVERT(nvarchar(max), @P25), CONVERT(nvarchar(max), @P26), CONVERT(nvarchar(max), @P27), CONVERT(uniqueidentifier, @P28));

-- insert, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] nvarchar(24) COLLATE Latin1_General_100_BIN2 NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] nvarchar(13) COLLATE Latin1_General_100_BIN2 NULL, [c9] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c10] nvarchar(29) COLLATE Latin1_General_100_BIN2 NULL, [c11] nvarchar(32) COLLATE Latin1_General_100_BIN2 NULL, [c12] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c13] uniqueidentifier NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- insert, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(nvarchar(max), @P8), CONVERT(nvarchar(max), @P9), CONVERT(nvarchar(max), @P10), CONVERT(nvarchar(max), @P11), CONVERT(nvarchar(max), @P12), CONVERT(nvarchar(max), @P13), CONVERT(uniqueidentifier, @P14)), (CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20), CONVERT(nvarchar(max), @P21), CONVERT(nvarchar(max), @P22), CONVERT(nvarchar(max), @P23), CONVERT(nvarchar(max), @P24), CONVERT(nvarchar(max), @P25), CONVERT(nvarchar(max), @P26), CONVERT(nvarchar(max), @P27), CONVERT(uniqueidentifier, @P28));

-- update
UPDATE [my.schema].[or]]ders's] SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(nvarchar(max), @P2) WHERE [c]]0] = CONVERT(bit, @P3);

-- update, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] varbinary(max) NULL, [c1] nvarchar(24) COLLATE Latin1_General_100_BIN2 NULL, [c2] bit NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(varbinary(max), @P1), CONVERT(nvarchar(max), @P2), CONVERT(bit, @P3)), (CONVERT(varbinary(max), @P4), CONVERT(nvarchar(max), @P5), CONVERT(bit, @P6));

-- update of all columns
UPDATE [my.schema].[or]]ders's] SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(nvarchar(max), @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(nvarchar(max), @P9), [c]]9] = CONVERT(nvarchar(max), @P10), [c]]10] = CONVERT(nvarchar(max), @P11), [c]]11] = CONVERT(nvarchar(max), @P12), [c]]12] = CONVERT(nvarchar(max), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) WHERE [c]]0] = CONVERT(bit, @P15);

-- update of all columns, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] nvarchar(24) COLLATE Latin1_General_100_BIN2 NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] nvarchar(13) COLLATE Latin1_General_100_BIN2 NULL, [c9] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c10] nvarchar(29) COLLATE Latin1_General_100_BIN2 NULL, [c11] nvarchar(32) COLLATE Latin1_General_100_BIN2 NULL, [c12] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c13] uniqueidentifier NULL, [c14] bit NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of all columns, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(nvarchar(max), @P8), CONVERT(nvarchar(max), @P9), CONVERT(nvarchar(max), @P10), CONVERT(nvarchar(max), @P11), CONVERT(nvarchar(max), @P12), CONVERT(nvarchar(max), @P13), CONVERT(uniqueidentifier, @P14), CONVERT(bit, @P15)), (CONVERT(bit, @P16), CONVERT(varbinary(max), @P17), CONVERT(bigint, @P18), CONVERT(smallint, @P19), CONVERT(int, @P20), CONVERT(nvarchar(max), @P21), CONVERT(nvarchar(max), @P22), CONVERT(nvarchar(max), @P23), CONVERT(nvarchar(max), @P24), CONVERT(nvarchar(max), @P25), CONVERT(nvarchar(max), @P26), CONVERT(nvarchar(max), @P27), CONVERT(nvarchar(max), @P28), CONVERT(uniqueidentifier, @P29), CONVERT(bit, @P30));

-- rows that are read
SELECT CONVERT(nvarchar(41), [c]]0]), [c]]1], CONVERT(nvarchar(41), [c]]2]), CONVERT(nvarchar(41), [c]]3]), CONVERT(nvarchar(41), [c]]4]), [c]]5], [c]]6], [c]]7], [c]]8], [c]]9], [c]]10], [c]]11], [c]]12], LOWER(CONVERT(nvarchar(41), [c]]13])) FROM [my.schema].[or]]ders's] WITH (TABLOCK);

-- table
CREATE TABLE [my.schema].[or]]ders's] ([c]]0] bit NOT NULL, [c]]1] varbinary(max) NULL, [c]]2] bigint NULL, [c]]3] smallint NULL, [c]]4] int NULL, [c]]5] nvarchar(max) NULL, [c]]6] nvarchar(24) NULL, [c]]7] nvarchar(20) NULL, [c]]8] nvarchar(13) NULL, [c]]9] nvarchar(15) NULL, [c]]10] nvarchar(29) NULL, [c]]11] nvarchar(32) NULL, [c]]12] nvarchar(15) NULL, [c]]13] uniqueidentifier NULL, PRIMARY KEY CLUSTERED ([c]]0]));

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]6] nvarchar(24) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]6] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]6] nvarchar(24) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]8] nvarchar(13) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]8] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]8] nvarchar(13) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]9] nvarchar(15) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]9] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]9] nvarchar(15) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]10] nvarchar(29) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]10] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]10] nvarchar(29) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]11] nvarchar(32) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]11] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]11] nvarchar(32) NULL;

-- column
ALTER TABLE [my.schema].[or]]ders's] ADD [c]]12] nvarchar(15) NULL;

-- column, filled
UPDATE [my.schema].[or]]ders's] SET [c]]12] = CONVERT(nvarchar(max), @P1);

-- type
ALTER TABLE [my.schema].[or]]ders's] ALTER COLUMN [c]]12] nvarchar(15) NULL;

---- Key ["c]7", "c]2"], misfits Fail

-- update of nothing
UPDATE [my.schema].[or]]ders's] SET [c]]7] = [c]]7] WHERE [c]]7] = CONVERT(nvarchar(20), @P1) AND DATALENGTH([c]]7]) = DATALENGTH(@P1) AND [c]]2] = CONVERT(bigint, @P2);

-- update of nothing, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c1] bigint NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of nothing, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(nvarchar(max), @P1), CONVERT(bigint, @P2)), (CONVERT(nvarchar(max), @P3), CONVERT(bigint, @P4));

-- update of nothing, by way of it
UPDATE t SET [c]]7] = t.[c]]7] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]7] = v.[c0] AND DATALENGTH(t.[c]]7]) = DATALENGTH(v.[c0]) AND t.[c]]2] = v.[c1];

-- update
UPDATE [my.schema].[or]]ders's] SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(float, @P2) WHERE [c]]7] = CONVERT(nvarchar(20), @P3) AND DATALENGTH([c]]7]) = DATALENGTH(@P3) AND [c]]2] = CONVERT(bigint, @P4);

-- update, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] varbinary(max) NULL, [c1] float NULL, [c2] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c3] bigint NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(varbinary(max), @P1), CONVERT(float, @P2), CONVERT(nvarchar(max), @P3), CONVERT(bigint, @P4)), (CONVERT(varbinary(max), @P5), CONVERT(float, @P6), CONVERT(nvarchar(max), @P7), CONVERT(bigint, @P8));

-- update, by way of it
UPDATE t SET [c]]1] = v.[c0], [c]]6] = v.[c1] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]7] = v.[c2] AND DATALENGTH(t.[c]]7]) = DATALENGTH(v.[c2]) AND t.[c]]2] = v.[c3];

-- update of all columns
UPDATE [my.schema].[or]]ders's] SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(float, @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(date, @P9, 23), [c]]9] = CONVERT(time(3), @P10, 121), [c]]10] = CONVERT(datetime2(6), @P11, 121), [c]]11] = CONVERT(datetimeoffset(6), @P12, 121), [c]]12] = CONVERT(decimal(10, 2), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) WHERE [c]]7] = CONVERT(nvarchar(20), @P15) AND DATALENGTH([c]]7]) = DATALENGTH(@P15) AND [c]]2] = CONVERT(bigint, @P16);

-- update of all columns, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] float NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] date NULL, [c9] time(3) NULL, [c10] datetime2(6) NULL, [c11] datetimeoffset(6) NULL, [c12] decimal(10, 2) NULL, [c13] uniqueidentifier NULL, [c14] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c15] bigint NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of all columns, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(float, @P7), CONVERT(nvarchar(max), @P8), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14), CONVERT(nvarchar(max), @P15), CONVERT(bigint, @P16)), (CONVERT(bit, @P17), CONVERT(varbinary(max), @P18), CONVERT(bigint, @P19), CONVERT(smallint, @P20), CONVERT(int, @P21), CONVERT(nvarchar(max), @P22), CONVERT(float, @P23), CONVERT(nvarchar(max), @P24), CONVERT(date, @P25, 23), CONVERT(time(3), @P26, 121), CONVERT(datetime2(6), @P27, 121), CONVERT(datetimeoffset(6), @P28, 121), CONVERT(decimal(10, 2), @P29), CONVERT(uniqueidentifier, @P30), CONVERT(nvarchar(max), @P31), CONVERT(bigint, @P32));

-- update of all columns, by way of it
UPDATE t SET [c]]0] = v.[c0], [c]]1] = v.[c1], [c]]2] = v.[c2], [c]]3] = v.[c3], [c]]4] = v.[c4], [c]]5] = v.[c5], [c]]6] = v.[c6], [c]]7] = v.[c7], [c]]8] = v.[c8], [c]]9] = v.[c9], [c]]10] = v.[c10], [c]]11] = v.[c11], [c]]12] = v.[c12], [c]]13] = v.[c13] FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]7] = v.[c14] AND DATALENGTH(t.[c]]7]) = DATALENGTH(v.[c14]) AND t.[c]]2] = v.[c15];

-- delete
DELETE FROM [my.schema].[or]]ders's] WHERE [c]]7] = CONVERT(nvarchar(20), @P1) AND DATALENGTH([c]]7]) = DATALENGTH(@P1) AND [c]]2] = CONVERT(bigint, @P2);

-- delete, by way of it
DELETE t FROM [my.schema].[or]]ders's] AS t INNER JOIN #_replicator_stage_7 AS v ON t.[c]]7] = v.[c0] AND DATALENGTH(t.[c]]7]) = DATALENGTH(v.[c0]) AND t.[c]]2] = v.[c1];

---- Key ["c]7", "c]2"], misfits Text

-- update
UPDATE [my.schema].[or]]ders's] SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(nvarchar(max), @P2) WHERE [c]]7] = CONVERT(nvarchar(20), @P3) AND DATALENGTH([c]]7]) = DATALENGTH(@P3) AND [c]]2] = CONVERT(bigint, @P4);

-- update, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] varbinary(max) NULL, [c1] nvarchar(24) COLLATE Latin1_General_100_BIN2 NULL, [c2] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c3] bigint NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(varbinary(max), @P1), CONVERT(nvarchar(max), @P2), CONVERT(nvarchar(max), @P3), CONVERT(bigint, @P4)), (CONVERT(varbinary(max), @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(bigint, @P8));

-- update of all columns
UPDATE [my.schema].[or]]ders's] SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(nvarchar(max), @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(nvarchar(max), @P9), [c]]9] = CONVERT(nvarchar(max), @P10), [c]]10] = CONVERT(nvarchar(max), @P11), [c]]11] = CONVERT(nvarchar(max), @P12), [c]]12] = CONVERT(nvarchar(max), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) WHERE [c]]7] = CONVERT(nvarchar(20), @P15) AND DATALENGTH([c]]7]) = DATALENGTH(@P15) AND [c]]2] = CONVERT(bigint, @P16);

-- update of all columns, its temporary table
IF OBJECT_ID(N'tempdb..#_replicator_stage_7') IS NULL CREATE TABLE #_replicator_stage_7 ([c0] bit NULL, [c1] varbinary(max) NULL, [c2] bigint NULL, [c3] smallint NULL, [c4] int NULL, [c5] nvarchar(max) COLLATE Latin1_General_100_BIN2 NULL, [c6] nvarchar(24) COLLATE Latin1_General_100_BIN2 NULL, [c7] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c8] nvarchar(13) COLLATE Latin1_General_100_BIN2 NULL, [c9] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c10] nvarchar(29) COLLATE Latin1_General_100_BIN2 NULL, [c11] nvarchar(32) COLLATE Latin1_General_100_BIN2 NULL, [c12] nvarchar(15) COLLATE Latin1_General_100_BIN2 NULL, [c13] uniqueidentifier NULL, [c14] nvarchar(20) COLLATE Latin1_General_100_BIN2 NULL, [c15] bigint NULL) ELSE TRUNCATE TABLE #_replicator_stage_7;

-- update of all columns, rows into it
INSERT INTO #_replicator_stage_7 VALUES (CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6), CONVERT(nvarchar(max), @P7), CONVERT(nvarchar(max), @P8), CONVERT(nvarchar(max), @P9), CONVERT(nvarchar(max), @P10), CONVERT(nvarchar(max), @P11), CONVERT(nvarchar(max), @P12), CONVERT(nvarchar(max), @P13), CONVERT(uniqueidentifier, @P14), CONVERT(nvarchar(max), @P15), CONVERT(bigint, @P16)), (CONVERT(bit, @P17), CONVERT(varbinary(max), @P18), CONVERT(bigint, @P19), CONVERT(smallint, @P20), CONVERT(int, @P21), CONVERT(nvarchar(max), @P22), CONVERT(nvarchar(max), @P23), CONVERT(nvarchar(max), @P24), CONVERT(nvarchar(max), @P25), CONVERT(nvarchar(max), @P26), CONVERT(nvarchar(max), @P27), CONVERT(nvarchar(max), @P28), CONVERT(nvarchar(max), @P29), CONVERT(uniqueidentifier, @P30), CONVERT(nvarchar(max), @P31), CONVERT(bigint, @P32));

---- Key [], misfits Fail

-- update of nothing
UPDATE TOP (1) t SET [c]]0] = [c]]0] FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), CONVERT(binary(8), t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8], t.[c]]9], t.[c]]10], t.[c]]11], t.[c]]12], t.[c]]13] INTERSECT SELECT CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), DATALENGTH(CONVERT(varbinary(max), @P2)), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P6)), CONVERT(binary(8), CONVERT(float, @P7)), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14));

-- update
UPDATE TOP (1) t SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(float, @P2) FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), CONVERT(binary(8), t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8], t.[c]]9], t.[c]]10], t.[c]]11], t.[c]]12], t.[c]]13] INTERSECT SELECT CONVERT(bit, @P3), CONVERT(varbinary(max), @P4), DATALENGTH(CONVERT(varbinary(max), @P4)), CONVERT(bigint, @P5), CONVERT(smallint, @P6), CONVERT(int, @P7), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(binary(8), CONVERT(float, @P9)), CONVERT(nvarchar(max), @P10) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P10)), CONVERT(date, @P11, 23), CONVERT(time(3), @P12, 121), CONVERT(datetime2(6), @P13, 121), CONVERT(datetimeoffset(6), @P14, 121), CONVERT(decimal(10, 2), @P15), CONVERT(uniqueidentifier, @P16));

-- update of all columns
UPDATE TOP (1) t SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(float, @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(date, @P9, 23), [c]]9] = CONVERT(time(3), @P10, 121), [c]]10] = CONVERT(datetime2(6), @P11, 121), [c]]11] = CONVERT(datetimeoffset(6), @P12, 121), [c]]12] = CONVERT(decimal(10, 2), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), CONVERT(binary(8), t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8], t.[c]]9], t.[c]]10], t.[c]]11], t.[c]]12], t.[c]]13] INTERSECT SELECT CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), DATALENGTH(CONVERT(varbinary(max), @P16)), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P20)), CONVERT(binary(8), CONVERT(float, @P21)), CONVERT(nvarchar(max), @P22) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P22)), CONVERT(date, @P23, 23), CONVERT(time(3), @P24, 121), CONVERT(datetime2(6), @P25, 121), CONVERT(datetimeoffset(6), @P26, 121), CONVERT(decimal(10, 2), @P27), CONVERT(uniqueidentifier, @P28));

-- delete
DELETE TOP (1) t FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), CONVERT(binary(8), t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8], t.[c]]9], t.[c]]10], t.[c]]11], t.[c]]12], t.[c]]13] INTERSECT SELECT CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), DATALENGTH(CONVERT(varbinary(max), @P2)), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P6)), CONVERT(binary(8), CONVERT(float, @P7)), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(date, @P9, 23), CONVERT(time(3), @P10, 121), CONVERT(datetime2(6), @P11, 121), CONVERT(datetimeoffset(6), @P12, 121), CONVERT(decimal(10, 2), @P13), CONVERT(uniqueidentifier, @P14));

---- Key [], misfits Text

-- update of nothing
UPDATE TOP (1) t SET [c]]0] = [c]]0] FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), t.[c]]6] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]8]), t.[c]]9] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]9]), t.[c]]10] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]10]), t.[c]]11] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]11]), t.[c]]12] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]12]), t.[c]]13] INTERSECT SELECT CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), DATALENGTH(CONVERT(varbinary(max), @P2)), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P6)), CONVERT(nvarchar(max), @P7) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P7)), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(nvarchar(max), @P9) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P9)), CONVERT(nvarchar(max), @P10) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P10)), CONVERT(nvarchar(max), @P11) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P11)), CONVERT(nvarchar(max), @P12) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P12)), CONVERT(nvarchar(max), @P13) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P13)), CONVERT(uniqueidentifier, @P14));

-- update
UPDATE TOP (1) t SET [c]]1] = CONVERT(varbinary(max), @P1), [c]]6] = CONVERT(nvarchar(max), @P2) FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), t.[c]]6] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]8]), t.[c]]9] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]9]), t.[c]]10] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]10]), t.[c]]11] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]11]), t.[c]]12] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]12]), t.[c]]13] INTERSECT SELECT CONVERT(bit, @P3), CONVERT(varbinary(max), @P4), DATALENGTH(CONVERT(varbinary(max), @P4)), CONVERT(bigint, @P5), CONVERT(smallint, @P6), CONVERT(int, @P7), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(nvarchar(max), @P9) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P9)), CONVERT(nvarchar(max), @P10) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P10)), CONVERT(nvarchar(max), @P11) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P11)), CONVERT(nvarchar(max), @P12) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P12)), CONVERT(nvarchar(max), @P13) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P13)), CONVERT(nvarchar(max), @P14) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P14)), CONVERT(nvarchar(max), @P15) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P15)), CONVERT(uniqueidentifier, @P16));

-- update of all columns
UPDATE TOP (1) t SET [c]]0] = CONVERT(bit, @P1), [c]]1] = CONVERT(varbinary(max), @P2), [c]]2] = CONVERT(bigint, @P3), [c]]3] = CONVERT(smallint, @P4), [c]]4] = CONVERT(int, @P5), [c]]5] = CONVERT(nvarchar(max), @P6), [c]]6] = CONVERT(nvarchar(max), @P7), [c]]7] = CONVERT(nvarchar(max), @P8), [c]]8] = CONVERT(nvarchar(max), @P9), [c]]9] = CONVERT(nvarchar(max), @P10), [c]]10] = CONVERT(nvarchar(max), @P11), [c]]11] = CONVERT(nvarchar(max), @P12), [c]]12] = CONVERT(nvarchar(max), @P13), [c]]13] = CONVERT(uniqueidentifier, @P14) FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), t.[c]]6] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]8]), t.[c]]9] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]9]), t.[c]]10] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]10]), t.[c]]11] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]11]), t.[c]]12] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]12]), t.[c]]13] INTERSECT SELECT CONVERT(bit, @P15), CONVERT(varbinary(max), @P16), DATALENGTH(CONVERT(varbinary(max), @P16)), CONVERT(bigint, @P17), CONVERT(smallint, @P18), CONVERT(int, @P19), CONVERT(nvarchar(max), @P20) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P20)), CONVERT(nvarchar(max), @P21) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P21)), CONVERT(nvarchar(max), @P22) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P22)), CONVERT(nvarchar(max), @P23) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P23)), CONVERT(nvarchar(max), @P24) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P24)), CONVERT(nvarchar(max), @P25) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P25)), CONVERT(nvarchar(max), @P26) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P26)), CONVERT(nvarchar(max), @P27) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P27)), CONVERT(uniqueidentifier, @P28));

-- delete
DELETE TOP (1) t FROM [my.schema].[or]]ders's] AS t WHERE EXISTS (SELECT t.[c]]0], t.[c]]1], DATALENGTH(t.[c]]1]), t.[c]]2], t.[c]]3], t.[c]]4], t.[c]]5] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]5]), t.[c]]6] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]6]), t.[c]]7] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]7]), t.[c]]8] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]8]), t.[c]]9] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]9]), t.[c]]10] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]10]), t.[c]]11] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]11]), t.[c]]12] COLLATE Latin1_General_100_BIN2, DATALENGTH(t.[c]]12]), t.[c]]13] INTERSECT SELECT CONVERT(bit, @P1), CONVERT(varbinary(max), @P2), DATALENGTH(CONVERT(varbinary(max), @P2)), CONVERT(bigint, @P3), CONVERT(smallint, @P4), CONVERT(int, @P5), CONVERT(nvarchar(max), @P6) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P6)), CONVERT(nvarchar(max), @P7) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P7)), CONVERT(nvarchar(max), @P8) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P8)), CONVERT(nvarchar(max), @P9) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P9)), CONVERT(nvarchar(max), @P10) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P10)), CONVERT(nvarchar(max), @P11) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P11)), CONVERT(nvarchar(max), @P12) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P12)), CONVERT(nvarchar(max), @P13) COLLATE Latin1_General_100_BIN2, DATALENGTH(CONVERT(nvarchar(max), @P13)), CONVERT(uniqueidentifier, @P14));

---- Of our own

-- schema
CREATE SCHEMA [my]]schema];

-- ledger
IF OBJECT_ID(N'[dbo].[_replicator_chunks]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_chunks] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [oid] bigint NOT NULL,
    [part] bigint NOT NULL,
    [number] bigint NOT NULL,
    PRIMARY KEY CLUSTERED ([slot], [oid], [part])
);

-- ledger
IF OBJECT_ID(N'[dbo].[_replicator_tables]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_tables] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [oid] bigint NOT NULL,
    [version] bigint NOT NULL,
    [relfilenode] bigint NOT NULL,
    [schema] nvarchar(128) NOT NULL,
    [name] nvarchar(128) NOT NULL,
    [identity] nvarchar(1) NOT NULL,
    [destination] nvarchar(600) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [columns] nvarchar(max) NOT NULL,
    [key] nvarchar(max) NOT NULL,
    [made_by_us] bit NOT NULL,
    [state] nvarchar(32) NOT NULL,
    [reason] nvarchar(max) NULL,
    [sync_position] nvarchar(32) NULL,
    PRIMARY KEY CLUSTERED ([slot], [oid])
);

-- ledger
IF OBJECT_ID(N'[dbo].[_replicator_position]', N'U') IS NULL CREATE TABLE [dbo].[_replicator_position] (
    [slot] nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
    [version] bigint NOT NULL,
    [state] nvarchar(32) NOT NULL,
    [system_id] nvarchar(64) NOT NULL,
    [timeline] bigint NOT NULL,
    [database] nvarchar(128) NOT NULL,
    [publications] nvarchar(max) NOT NULL,
    [lsn] nvarchar(32) NOT NULL,
    [epoch] bigint NOT NULL,
    [holder] nvarchar(max) NOT NULL,
    [fingerprint] nvarchar(max) NOT NULL,
    [session] bigint NOT NULL,
    [session_start] nvarchar(64) NOT NULL,
    [source_time] nvarchar(64) NULL,
    PRIMARY KEY CLUSTERED ([slot])
);

-- ledger
IF COL_LENGTH(N'dbo._replicator_position', N'source_time') IS NULL ALTER TABLE [dbo].[_replicator_position] ADD [source_time] nvarchar(64) NULL;

-- ledger
SELECT t.[name] FROM sys.tables AS t WHERE t.[schema_id] = SCHEMA_ID(N'dbo') AND t.[name] IN (N'_replicator_position', N'_replicator_tables', N'_replicator_chunks') UNION ALL SELECT c.[name] FROM sys.columns AS c WHERE c.[object_id] = OBJECT_ID(N'[dbo].[_replicator_position]', N'U') AND c.[name] = N'source_time';

-- ledger
SELECT CAST(s.[session_id] AS bigint), CONVERT(nvarchar(40), s.[login_time], 126) FROM sys.dm_tran_locks AS l INNER JOIN sys.dm_exec_sessions AS s ON s.[session_id] = l.[request_session_id] INNER JOIN sys.partitions AS p ON p.[hobt_id] = l.[resource_associated_entity_id] WHERE l.[resource_database_id] = DB_ID() AND l.[resource_type] = N'KEY' AND l.[request_mode] = N'S' AND l.[request_status] = N'GRANT' AND p.[object_id] = OBJECT_ID(N'[dbo].[_replicator_position]') AND s.[session_id] <> @@SPID AND l.[resource_description] = (SELECT %%lockres%% FROM [dbo].[_replicator_position] WITH (NOLOCK) WHERE [slot] = @P1);

-- catalog
SELECT o.[type_desc], CASE WHEN t.[durability] = 1 THEN 0 ELSE 1 END, CASE WHEN t.[temporal_type] = 2 THEN 1 ELSE 0 END FROM sys.objects AS o LEFT JOIN sys.tables AS t ON t.[object_id] = o.[object_id] WHERE o.[object_id] = OBJECT_ID(@P1);

-- catalog
SELECT c.[name], COALESCE(y.[name], N'clr'), CONVERT(int, c.[max_length]), CONVERT(int, c.[precision]), CONVERT(int, c.[scale]), c.[collation_name], CASE WHEN c.[is_nullable] = 0 AND c.[default_object_id] = 0 AND c.[is_identity] = 0 AND c.[is_computed] = 0 AND c.[generated_always_type] = 0 AND COALESCE(y.[name], N'clr') <> N'timestamp' THEN 1 ELSE 0 END, CASE WHEN c.[is_identity] = 1 OR c.[is_computed] = 1 OR c.[generated_always_type] <> 0 OR y.[name] = N'timestamp' THEN 1 ELSE 0 END FROM sys.columns AS c LEFT JOIN sys.types AS y ON y.[user_type_id] = c.[system_type_id] WHERE c.[object_id] = OBJECT_ID(@P1) ORDER BY c.[column_id];

-- catalog
SELECT i.[index_id], c.[name], CASE WHEN i.[has_filter] = 1 THEN 1 ELSE 0 END FROM sys.indexes AS i INNER JOIN sys.index_columns AS x ON x.[object_id] = i.[object_id] AND x.[index_id] = i.[index_id] INNER JOIN sys.columns AS c ON c.[object_id] = x.[object_id] AND c.[column_id] = x.[column_id] WHERE i.[object_id] = OBJECT_ID(@P1) AND i.[is_unique] = 1 AND i.[is_disabled] = 0 AND x.[key_ordinal] > 0 ORDER BY i.[index_id], x.[key_ordinal];

-- catalog
SELECT (SELECT COUNT(*) FROM sys.triggers AS g WHERE g.[parent_id] = OBJECT_ID(@P1) AND g.[is_disabled] = 0) + (SELECT COUNT(*) FROM sys.foreign_keys AS f WHERE f.[parent_object_id] = OBJECT_ID(@P1) OR f.[referenced_object_id] = OBJECT_ID(@P1));

-- catalog
SELECT SCHEMA_ID(@P1);

-- catalog
SELECT USER_NAME(), SUSER_SNAME(), CONVERT(int, d.[is_read_committed_snapshot_on]) FROM sys.databases AS d WHERE d.[database_id] = DB_ID();

-- catalog
SELECT r.[name], HAS_PERMS_BY_NAME(@P1, @P2, r.[name]) FROM (VALUES (N'SELECT'), (N'INSERT'), (N'UPDATE'), (N'DELETE'), (N'ALTER')) AS r ([name]);

-- catalog
SELECT r.[name], HAS_PERMS_BY_NAME(QUOTENAME(DB_NAME()), N'DATABASE', r.[name]) FROM (VALUES (N'CREATE TABLE'), (N'CREATE SCHEMA'), (N'VIEW DATABASE STATE'), (N'KILL DATABASE CONNECTION')) AS r ([name]);

-- catalog
SELECT r.[name], HAS_PERMS_BY_NAME(NULL, NULL, r.[name]) FROM (VALUES (N'VIEW SERVER STATE'), (N'ALTER ANY CONNECTION')) AS r ([name]);

-- catalog
SELECT CONVERT(bigint, f.[size]), CONVERT(bigint, FILEPROPERTY(f.[name], N'SpaceUsed')), CONVERT(bigint, f.[max_size]), CONVERT(bigint, f.[growth]) FROM sys.database_files AS f WHERE f.[type] = 0;

-- catalog
SELECT v.[volume_mount_point], CONVERT(bigint, MAX(v.[available_bytes])) FROM sys.database_files AS f CROSS APPLY sys.dm_os_volume_stats(DB_ID(), f.[file_id]) AS v WHERE f.[type] = 0 GROUP BY v.[volume_mount_point];

-- catalog
SELECT CONVERT(bigint, DATABASEPROPERTYEX(DB_NAME(), N'MaxSizeInBytes'));
