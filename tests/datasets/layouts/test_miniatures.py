"""A miniature of each published layout, written from its description: files and columns have the publisher's names."""

# ruff: noqa: E501 - a row of a publisher's table is a line here too

import gzip
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from embedkit import images
from embedkit.datasets import catalog, open_dataset
from embedkit.errors import EmbedkitError
from tests.datasets.making import image, write

ISIC = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
ISIC19 = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
CHEXPERT = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,Consolidation,Pneumonia,"
    "Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,Support Devices"
)
PADCHEST = (
    ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,Manufacturer_DICOM,"
    "ReportID,Report,Labels,Localizations,LabelsLocalizationsBySentence,labelCUIS,LocalizationsCUIS\n"
)
BRSET = "diabetic_retinopathy,macular_edema,scar,nevus,amd,vascular_occlusion,hypertensive_retinopathy,drusens,"
BRSET += "hemorrhage,retinal_detachment,myopic_fundus,increased_cup_disc,other"
PAD = "patient_id,lesion_id,smoke,age,gender,fitspatrick,region,diagnostic,img_id,biopsed\n"
NIH = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient {},View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
)
VINDR = ",".join(column for column in catalog()["vindr-cxr"].targets["finding"])
RFMID = "ID,Disease_Risk," + ",".join(catalog()["rfmid"].targets["disease"])


@dataclass(frozen=True)
class Miniature:
    name: str
    folder: str
    files: dict[str, str]
    images: list[str]
    rows: dict[str, dict[str, Any]]
    facts: dict[str, Any] = field(default_factory=dict)


def ones(count: int, *positions: int) -> str:
    return ",".join("1" if number in positions else "0" for number in range(count))


def nih(split: str) -> Miniature:
    lists = {
        "nih-chestxray14": ("train_val_list.txt", "test_list.txt"),
        "nih-chestxray14-70-10-20": ("train_1.txt", "val_1.txt", "test_1.txt"),
    }[split]
    names = ["images_001/00000001_000.png 0 1", "00000001_001.png", "images_002/00000002_000.png 0 0"]
    texts = [names[0], names[2]] if len(lists) == 2 else [names[0], names[1], names[2]]
    expected = {
        "00000001_000.png": {
            "split": "train", "group": "1", "age": 58, "sex": "M", "view": "PA", "Cardiomegaly": 1, "Hernia": 0,
            "Pleural_Thickening": 1, "Follow-up #": 0, "path": "images_001/images/00000001_000.png",
        },
        "00000002_000.png": {"split": "test", "group": "2", "Cardiomegaly": 0},
    }  # fmt: skip
    expected["00000001_001.png"] = {"split": None if len(lists) == 2 else "val", "group": "1"}
    return Miniature(
        split,
        "ChestX-ray14",
        {
            "Data_Entry_2017.csv": NIH.format("Gender")
            + "00000001_000.png,Cardiomegaly|Pleural_Thickening,0,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
            + "00000001_001.png,Emphysema,1,1,058Y,M,PA,2682,2749,0.143,0.143,\n"
            + "00000002_000.png,No Finding,0,2,081Y,M,PA,2500,2048,0.171,0.171,\n",
            **{name: text + "\n" for name, text in zip(lists, texts, strict=True)},
        },
        [f"images_001/images/00000001_{n}.png" for n in ("000", "001")] + ["images_002/images/00000002_000.png"],
        expected,
    )


MINIATURES = [
    Miniature(
        "isic2018-task3",
        "ISIC2018",
        {
            "ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv": ISIC
            + "ISIC_1,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_2,1.0,0.0,0.0,0.0,0.0,0.0,0.0\n",
            "ISIC2018_Task3_Validation_GroundTruth/ISIC2018_Task3_Validation_GroundTruth.csv": ISIC + "ISIC_3,0,0,1,0,0,0,0\n",
            "ISIC2018_Task3_Test_GroundTruth/ISIC2018_Task3_Test_GroundTruth.csv": ISIC + "ISIC_4,0,0,0,1,0,0,0\n",
            "ISIC2018_Task3_Training_LesionGroupings.csv": "image,lesion_id,diagnosis_confirm_type\nISIC_1,HAM_1,histopathology\nISIC_2,HAM_1,follow_up\n",
        },
        [f"ISIC2018_Task3_{part}_Input/ISIC_{n}.jpg" for n, part in enumerate(("Training", "Training", "Validation", "Test"), 1)],
        {
            "ISIC_1": {"label": "nv", "split": "train", "group": "HAM_1", "diagnosis_confirm_type": "histopathology"},
            "ISIC_2": {"label": "mel", "split": "train", "group": "HAM_1"},
            "ISIC_3": {"label": "bcc", "split": "val", "group": None},
            "ISIC_4": {"label": "akiec", "split": "test"},
        },
    ),
    Miniature(
        "isic2019",
        "ISIC_2019",
        {
            "ISIC_2019_Training_GroundTruth.csv": ISIC19 + "\nISIC_1_downsampled,0,0,0,0,0,0,0,1,0\n",
            "ISIC_2019_Training_Metadata.csv": "image,age_approx,anatom_site_general,lesion_id,sex\nISIC_1_downsampled,55,anterior torso,BCN_1,female\n",
            "ISIC_2019_Test_GroundTruth.csv": ISIC19 + ",score_weight,validation_weight\nISIC_2,0,0,0,0,0,0,0,0,1,1.0,0\n",
            "ISIC_2019_Test_Metadata.csv": "image,age_approx,anatom_site_general,sex\nISIC_2,70,,male\n",
        },
        ["ISIC_2019_Training_Input/ISIC_1_downsampled.jpg", "ISIC_2019_Test_Input/ISIC_2.jpg"],
        {
            "ISIC_1_downsampled": {"label": "scc", "split": "train", "group": "BCN_1", "age": 55, "sex": "female"},
            "ISIC_2": {"label": "unk", "split": "test", "group": None, "age": 70, "sex": "male"},
        },
    ),
    Miniature(
        "pad-ufes-20",
        "PAD-UFES-20",
        {"metadata.csv": PAD + "PAT_46,881,False,55,FEMALE,3.0,NECK,BCC,PAT_46_881_939.png,True\nPAT_9,1,,,,,,ACK,PAT_9_1_2.png,False\n"},
        ["images/imgs_part_1/PAT_46_881_939.png", "images/imgs_part_3/PAT_9_1_2.png"],
        {
            "PAT_46_881_939.png": {"label": "BCC", "group": "PAT_46", "lesion": 881, "sex": "FEMALE", "age": 55, "skin_type": 3.0, "localization": "NECK"},
            "PAT_9_1_2.png": {"label": "ACK", "group": "PAT_9", "age": None},
        },
    ),
    Miniature(
        "ph2",
        "PH2Dataset",
        {
            "PH2_dataset.txt": "||   Name  || Histological Diagnosis  || Clinical Diagnosis ||  Asymmetry | Pigment Network  || Colors ||\n"
            "|| IMD003 ||                        ||                  0 || 0 |   T |    A || 4       ||\n"
            "|| IMD400 || Melanoma               ||                  2 || 2 |  AT |   AT || 1  4    ||\n\nLegends: \n",
        },
        [f"PH2 Dataset images/IMD{n}/IMD{n}_{kind}/IMD{n}{end}.bmp" for n in ("003", "400") for kind, end in (("Dermoscopic_Image", ""), ("lesion", "_lesion"))],
        {
            "IMD003": {"label": "common nevus", "path": "PH2 Dataset images/IMD003/IMD003_Dermoscopic_Image/IMD003.bmp"},
            "IMD400": {"label": "melanoma", "histology": "Melanoma", "Colors": "1  4"},
        },
    ),
    Miniature(
        "aptos2019",
        "aptos2019-blindness-detection",
        {"train.csv": "id_code,diagnosis\n000c1434d8d7,2\n001639a390f0,4\n"},
        ["train_images/000c1434d8d7.png", "train_images/001639a390f0.png"],
        {"000c1434d8d7": {"label": "2"}, "001639a390f0": {"label": "4"}},
    ),
    Miniature(
        "odir-5k",
        "ODIR-5K",
        {
            "ODIR-5K_Training_Annotations(Updated)_V2.csv": "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords,N,D,G,C,A,H,M,O\n"
            '0,69,Female,0_left.jpg,0_right.jpg,cataract,normal fundus,0,0,0,1,0,0,0,0\n4,53,Male,4_left.jpg,4_right.jpg,"macular epiretinal membrane, drusen",mild,0,1,0,0,0,0,0,1\n',
        },
        [f"Training Images/{n}_{side}.jpg" for n in (0, 4) for side in ("left", "right")],
        {
            "0_left.jpg": {"group": "0", "laterality": "left", "keywords": "cataract", "C": 1, "N": 0, "age": 69, "sex": "Female", "split": "train"},
            "0_right.jpg": {"group": "0", "laterality": "right", "keywords": "normal fundus", "C": 1},
            "4_left.jpg": {"group": "4", "D": 1, "O": 1, "keywords": "macular epiretinal membrane, drusen"},
            "4_right.jpg": {"group": "4", "laterality": "right"},
        },
    ),
    Miniature(
        "odir-5k-eyes",
        "ODIR-5K",
        {
            "full_df.csv": "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,Right-Diagnostic Keywords,N,D,G,C,A,H,M,O,filepath,labels,target,filename\n"
            "0,69,Female,0_left.jpg,0_right.jpg,cataract,normal fundus,0,0,0,1,0,0,0,0,../input/0_right.jpg,['N'],\"[1, 0, 0, 0, 0, 0, 0, 0]\",0_right.jpg\n"
            "0,69,Female,0_left.jpg,0_right.jpg,cataract,normal fundus,0,0,0,1,0,0,0,0,../input/0_left.jpg,['C'],\"[0, 0, 0, 1, 0, 0, 0, 0]\",0_left.jpg\n",
        },
        ["preprocessed_images/0_left.jpg", "preprocessed_images/0_right.jpg"],
        {"0_right.jpg": {"label": "N", "group": "0", "C": 1, "laterality": "right"}, "0_left.jpg": {"label": "C", "group": "0"}},
    ),
    Miniature(
        "idrid",
        "B. Disease Grading",
        {
            "2. Groundtruths/a. IDRiD_Disease Grading_Training Labels.csv": "Image name,Retinopathy grade,Risk of macular edema ,,,\nIDRiD_001,3,2,,,\n",
            "2. Groundtruths/b. IDRiD_Disease Grading_Testing Labels.csv": "Image name,Retinopathy grade,Risk of macular edema \nIDRiD_001,4,0\n",
        },
        ["1. Original Images/a. Training Set/IDRiD_001.jpg", "1. Original Images/b. Testing Set/IDRiD_001.jpg"],
        {
            "train/IDRiD_001": {"label": "3", "edema": "2", "split": "train", "path": "1. Original Images/a. Training Set/IDRiD_001.jpg"},
            "test/IDRiD_001": {"label": "4", "edema": "0", "split": "test", "path": "1. Original Images/b. Testing Set/IDRiD_001.jpg"},
        },
    ),
    Miniature(
        "messidor2",
        "messidor-2",
        {
            "messidor_data.csv": "image_id,adjudicated_dr_grade,adjudicated_dme,adjudicated_gradable\n"
            "20051020_43808_0100_PP.png,0,0,1\n20051020_43832_0100_PP.png,,,0\nIM000001.JPG,3,1,1\n",
            "messidor-2.csv": "left;right\n20051020_43808_0100_PP.png;20051020_43832_0100_PP.png\n",
        },
        ["IMAGES/20051020_43808_0100_PP.png", "IMAGES/20051020_43832_0100_PP.png", "IMAGES/IM000001.JPG"],
        {
            "20051020_43808_0100_PP.png": {"label": "0", "edema": "0", "group": "20051020_43808_0100_PP"},
            "20051020_43832_0100_PP.png": {"label": None, "gradable": 0, "group": "20051020_43808_0100_PP"},
            "IM000001.JPG": {"label": "3", "group": "IM000001"},
        },
    ),
    Miniature(
        "eyepacs",
        "diabetic-retinopathy-detection",
        {
            "trainLabels.csv": "image,level\n10_left,0\n10_right,2\n",
            "retinopathy_solution.csv": "image,level,Usage\n1_left,4,Private\n",
        },
        ["train/10_left.jpeg", "train/10_right.jpeg", "test/1_left.jpeg"],
        {
            "10_left": {"label": "0", "group": "10", "laterality": "left", "split": "train"},
            "10_right": {"label": "2", "group": "10", "laterality": "right"},
            "1_left": {"label": "4", "group": "1", "split": "test", "Usage": "Private"},
        },
    ),
    Miniature(
        "drive",
        "DRIVE",
        {},
        ["training/images/21_training.tif", "training/1st_manual/21_manual1.gif", "test/images/01_test.tif"],
        {
            "training/images/21_training.tif": {"split": "train", "number": "21"},
            "test/images/01_test.tif": {"split": "test"},
        },
        {"other_images": 1},
    ),
    Miniature(
        "stare",
        "STARE",
        {"all-mg-codes.txt": "im0001\t7\tBackground Diabetic Retinopathy\nim0002\t5 10\tCentral Retinal Vein Occlusion\tHypertensive Retinopathy\nim0003\t\n"},
        ["im0001.ppm", "im0002.ppm", "im0003.ppm"],
        {
            "im0001": {"Background Diabetic Retinopathy": 1, "Normal": 0},
            "im0002": {"Central Retinal Vein Occlusion": 1, "Hypertensive Retinopathy": 1, "Other": 0},
            "im0003": {"Normal": None},
        },
    ),
    Miniature(
        "jsiec",
        "JSIEC",
        {},
        [
            "1000images/0.0.Normal/1ffa92e4-8d87-11e8-9daf-6045cb817f5b..JPG",
            "1000images/29.1.Blur fundus with suspected PDR/x.JPG",
            "1000images/3.RAO/y.JPG",
        ],
        {
            "1000images/3.RAO/y.JPG": {"label": "3.RAO"},
            "1000images/0.0.Normal/1ffa92e4-8d87-11e8-9daf-6045cb817f5b..JPG": {"label": "0.0.Normal"},
            "1000images/29.1.Blur fundus with suspected PDR/x.JPG": {"label": "29.1.Blur fundus with suspected PDR"},
        },
    ),
    Miniature(
        "rfmid",
        "RFMiD",
        {
            "Training_Set/RFMiD_Training_Labels.csv": f"{RFMID}\n1,1,{ones(45, 0, 44)}\n",
            "Evaluation_Set/RFMiD_Validation_Labels.csv": f"{RFMID}\n1,0,{ones(45)}\n",
            "Test_Set/RFMiD_Testing_Labels.csv": f"{RFMID}\n1,1,{ones(45, 2)}\n",
        },
        ["Training_Set/Training/1.png", "Evaluation_Set/Validation/1.png", "Test_Set/Test/1.png"],
        {
            "train/1": {"label": "1", "DR": 1, "CL": 1, "MH": 0, "split": "train", "path": "Training_Set/Training/1.png"},
            "val/1": {"label": "0", "DR": 0, "split": "val", "path": "Evaluation_Set/Validation/1.png"},
            "test/1": {"label": "1", "MH": 1, "split": "test", "path": "Test_Set/Test/1.png"},
        },
    ),
    Miniature(
        "brset",
        "brazilian-ophthalmological/1.0.1",
        {
            "labels_brset.csv": f"image_id,patient_id,camera,patient_age,comorbidities,patient_sex,exam_eye,DR_SDRG,DR_ICDR,focus,{BRSET},quality\n"
            f"img00001,1,Canon CR,48.0,diabetes1,1,1,0,0,1,{ones(13)},Adequate\nimg00002,1,Canon CR,48.0,diabetes1,2,2,4,4,1,{ones(13, 0, 12)},Adequate\n",
        },
        ["fundus_photos/img00001.jpg", "fundus_photos/img00002.jpg"],
        {
            "img00001": {"label": "0", "group": "1", "sex": "male", "laterality": "right", "scanner": "Canon CR", "age": 48, "other": 0},
            "img00002": {"label": "4", "group": "1", "sex": "female", "laterality": "left", "diabetic_retinopathy": 1, "other": 1},
        },
    ),
    Miniature(
        "inbreast",
        "INbreast Release 1.0",
        {
            "INbreast.csv": "Patient ID;Patient age;Laterality;View;Acquisition date;File Name;ACR;Bi-Rads\n"
            "removed;removed;R;CC;201001;22678622;4;1\nremoved;removed;L;MLO;201001;22678646;     ;4c\n",
        },
        ["AllDICOMs/22678622_61b13c59bcba149e_MG_R_CC_ANON.dcm", "AllDICOMs/22678646_61b13c59bcba149e_MG_L_ML_ANON.dcm"],
        {
            "22678622": {"label": "1", "suspicious": "no", "group": "61b13c59bcba149e", "laterality": "right", "view": "CC", "density": 4},
            "22678646": {"label": "4c", "suspicious": "yes", "group": "61b13c59bcba149e", "laterality": "left", "density": None},
        },
    ),
    Miniature(
        "vindr-mammo",
        "vindr-mammo/1.0.0",
        {
            "breast-level_annotations.csv": "study_id,series_id,laterality,view_position,height,width,breast_birads,breast_density,image_id,split\n"
            "b8d2,dd96,R,CC,3518,2800,BI-RADS 2,DENSITY C,d845,training\nc0aa,6ab1,L,MLO,3518,2800,BI-RADS 5,DENSITY B,2ddf,test\n",
        },
        ["images/b8d2/d845.dicom", "images/c0aa/2ddf.dicom"],
        {
            "d845": {"label": "BI-RADS 2", "suspicious": "no", "group": "b8d2", "split": "train", "laterality": "right", "view": "CC", "density": "DENSITY C"},
            "2ddf": {"label": "BI-RADS 5", "suspicious": "yes", "group": "c0aa", "split": "test", "laterality": "left"},
        },
    ),
    Miniature(
        "busi",
        "Dataset_BUSI_with_GT",
        {},
        ["benign/benign (1).png", "benign/benign (1)_mask.png", "benign/benign (1)_mask_1.png", "normal/normal (13).png"],
        {"benign/benign (1).png": {"label": "benign", "number": 1}, "normal/normal (13).png": {"label": "normal", "number": 13}},
        {"other_images": 2},
    ),
    nih("nih-chestxray14"),
    nih("nih-chestxray14-70-10-20"),
    Miniature(
        "chexpert",
        "CheXpert-v1.0-small",
        {
            "train.csv": f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}\n"
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,AP,1.0,,,,,,,,,0.0,,,,1.0\n"
            "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Female,87,Frontal,AP,,,-1.0,1.0,,-1.0,,,,,,,,\n",
            "valid.csv": f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}\n"
            "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,0.0,1.0,1.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n",
        },
        ["train/patient00001/study1/view1_frontal.jpg", "train/patient00002/study2/view1_frontal.jpg", "valid/patient64541/study1/view1_frontal.jpg"],
        {
            "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg": {
                "group": "patient00001", "study": "patient00001/study1", "split": "train", "sex": "Female", "age": 68,
                "view": "Frontal", "projection": "AP", "No Finding": 1, "Edema": 0, "Pneumothorax": 0,
                "path": "train/patient00001/study1/view1_frontal.jpg",
            },
            "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg": {
                "Cardiomegaly": None, "Cardiomegaly (u=1)": 1, "Cardiomegaly (u=0)": 0, "Lung Opacity (u=0)": 1, "Edema": None,
            },
            "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg": {"split": "val", "Cardiomegaly": 1, "No Finding": 0},
        },
    ),
    Miniature(
        "mimic-cxr-jpg",
        "mimic-cxr-jpg/2.1.0",
        {
            "mimic-cxr-2.0.0-metadata.csv.gz": "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns\n02aa,10000032,50414267,CHEST (PA AND LAT),PA,3056,2544\n174f,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056,2544\n",
            "mimic-cxr-2.0.0-split.csv.gz": "dicom_id,study_id,subject_id,split\n174f,50414267,10000032,validate\n02aa,50414267,10000032,train\n",
            "mimic-cxr-2.0.0-chexpert.csv": f"subject_id,study_id,{CHEXPERT}\n10000032,50414267,1.0,,,,,-1.0,,,,,,,,\n",
        },
        ["files/p10/p10000032/s50414267/02aa.jpg", "files/p10/p10000032/s50414267/174f.jpg"],
        {
            "02aa": {"group": "10000032", "study": 50414267, "split": "train", "view": "PA", "No Finding": 1, "Edema": None, "Edema (u=1)": 1, "Rows": 3056},
            "174f": {"group": "10000032", "split": "val", "view": "LATERAL", "No Finding": 1, "Fracture": 0},
        },
    ),
    Miniature(
        "padchest",
        "PadChest",
        {
            "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv": PADCHEST
            + "0,a_02-034-124.png,0,20140915,s1,p1,1930.0,F,PA,ImagingDynamics,4765777,sin hallazgos,\"['pulmonary fibrosis', 'chronic changes']\",[],[],[],[]\n"
            + "1,b_02-034-125.png,14,20140915,s2,p2,1931.0,M,L,ImagingDynamics,1,texto,['normal'],[],[],[],[]\n"
            + "2,c_02-034-126.png,14,20140915,s3,p3,1931.0,M,L,ImagingDynamics,1,texto,,[],[],[],[]\n",
        },
        ["0/a_02-034-124.png", "14/b_02-034-125.png", "14/c_02-034-126.png"],
        {
            "a_02-034-124.png": {"group": "p1", "study": "s1", "sex": "F", "view": "PA", "scanner": "ImagingDynamics", "birth_year": 1930, "pulmonary fibrosis": 1, "chronic changes": 1, "normal": 0},
            "b_02-034-125.png": {"normal": 1, "nodule": 0},
            "c_02-034-126.png": {"normal": None},
        },
    ),
    Miniature(
        "vindr-cxr",
        "vindr-cxr/1.0.0",
        {
            "annotations/image_labels_train.csv": f"image_id,rad_id,{VINDR}\nt1,R1,{ones(28, 0)}\nt1,R2,{ones(28, 0, 1)}\nt1,R3,{ones(28, 27)}\n",
            "annotations/image_labels_test.csv": f"image_id,{VINDR.replace('Other diseases', 'Other disease')}\ne1,{ones(28, 26)}\n",
        },
        ["train/t1.dicom", "test/e1.dicom"],
        {
            "t1": {"Aortic enlargement": 1, "Atelectasis": 0, "No finding": 0, "split": "train", "path": "train/t1.dicom"},
            "e1": {"Other diseases": 1, "split": "test"},
        },
    ),
    Miniature(
        "montgomery",
        "MontgomerySet",
        {"ClinicalReadings/MCUCXR_0001_0.txt": "Patient's Sex: F \nPatient's Age: 027Y \nnormal\n", "ClinicalReadings/MCUCXR_0108_1.txt": "Patient's Sex: M\nPatient's Age: 040Y\nTB\n"},
        ["CXR_png/MCUCXR_0001_0.png", "CXR_png/MCUCXR_0108_1.png", "ManualMask/leftMask/MCUCXR_0001_0.png"],
        {
            "CXR_png/MCUCXR_0001_0.png": {"label": "0", "group": "MCUCXR_0001", "sex": "F", "age": 27},
            "CXR_png/MCUCXR_0108_1.png": {"label": "1", "sex": "M", "age": 40},
        },
        {"other_images": 1},
    ),
    Miniature(
        "shenzhen",
        "ChinaSet_AllFiles",
        {"ClinicalReadings/CHNCXR_0001_0.txt": "male 45yrs\nnormal\n", "ClinicalReadings/CHNCXR_0327_1.txt": "Female, 28yrs\nPTB\n"},
        ["CXR_png/CHNCXR_0001_0.png", "CXR_png/CHNCXR_0327_1.png", "CXR_png/CHNCXR_0328_1.png"],
        {
            "CXR_png/CHNCXR_0001_0.png": {"label": "0", "group": "CHNCXR_0001", "sex": "male", "age": 45},
            "CXR_png/CHNCXR_0327_1.png": {"label": "1", "sex": "Female", "age": 28},
            "CXR_png/CHNCXR_0328_1.png": {"label": "1", "sex": None, "age": None},
        },
    ),
    Miniature(
        "covid-cohen",
        "covid-chestxray-dataset",
        {
            "metadata.csv": "patientid,offset,sex,age,finding,RT_PCR_positive,survival,view,modality,date,location,folder,filename,doi,url,license,clinical_notes,other_notes\n"
            "2,0,M,65,Pneumonia/Viral/COVID-19,Y,Y,PA,X-ray,2020,Hanoi,images,a.jpeg,,,CC BY,text of the case,\n3,,,,No Finding,,,Axial,CT,2020,,images,b.png,,,,,\n",
        },
        ["images/a.jpeg", "images/b.png"],
        {
            "a.jpeg": {"label": "COVID-19", "finding": "Pneumonia/Viral/COVID-19", "group": "2", "sex": "M", "age": 65, "modality": "X-ray", "license": "CC BY"},
            "b.png": {"label": "No Finding", "modality": "CT"},
        },
    ),
    Miniature(
        "covid19-317",
        "Covid19-dataset",
        {},
        ["train/Covid/01.jpeg", "train/Viral Pneumonia/01.jpeg", "test/Normal/0101.jpeg"],
        {
            "train/Covid/01.jpeg": {"label": "Covid", "split": "train"},
            "train/Viral Pneumonia/01.jpeg": {"label": "Viral Pneumonia", "split": "train"},
            "test/Normal/0101.jpeg": {"label": "Normal", "split": "test"},
        },
    ),
    Miniature(
        "brain-tumor-mri",
        "brain-tumor-mri",
        {},
        ["Training/glioma/Tr-gl_0010.jpg", "Training/notumor/Tr-no_0010.jpg", "Testing/glioma/Te-gl_0010.jpg"],
        {
            "Training/glioma/Tr-gl_0010.jpg": {"label": "glioma", "split": "train"},
            "Training/notumor/Tr-no_0010.jpg": {"label": "notumor", "split": "train"},
            "Testing/glioma/Te-gl_0010.jpg": {"label": "glioma", "split": "test"},
        },
    ),
    Miniature(
        "brain-clients",
        "BT4",
        {},
        ["client_0/glioma_tumor/1.jpg", "client_3/no_tumor/1.jpg"],
        {
            "client_0/glioma_tumor/1.jpg": {"label": "glioma_tumor", "site": "client_0", "split": "train"},
            "client_3/no_tumor/1.jpg": {"label": "no_tumor", "site": "client_3", "split": "test"},
        },
    ),
    Miniature(
        "lc25000",
        "lung_colon_image_set",
        {},
        ["colon_image_sets/colon_aca/colonca1.jpeg", "lung_image_sets/lung_n/lungn1.jpeg"],
        {
            "colon_image_sets/colon_aca/colonca1.jpeg": {"label": "colon_aca", "organ": "colon"},
            "lung_image_sets/lung_n/lungn1.jpeg": {"label": "lung_n", "organ": "lung"},
        },
    ),
    Miniature(
        "multiphase-ct",
        "MPCT",
        {"phases.csv": "patient,lesion,label,arterial,portal,delayed\np1,l1,hcc,p1/a.png,p1/p.png,p1/d.png\np2,l2,cyst,p2/a.png,,\n"},
        ["p1/a.png", "p1/p.png", "p1/d.png", "p2/a.png"],
        {
            "p1/a.png": {"label": "hcc", "group": "p1", "lesion": "l1", "phase": "arterial"},
            "p1/p.png": {"phase": "portal", "lesion": "l1"},
            "p1/d.png": {"phase": "delayed"},
            "p2/a.png": {"label": "cyst", "group": "p2", "phase": "arterial"},
        },
    ),
]  # fmt: skip


def make(root: Path, miniature: Miniature) -> None:
    place = root / miniature.folder
    for name, text in miniature.files.items():
        if name.endswith(".gz"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_bytes(gzip.compress(text.encode()))
        else:
            write(place / name, text)
    for path in miniature.images:
        target = place / path
        if target.suffix in {".dcm", ".dicom"}:
            write(target, "")
        else:
            image(target)


@pytest.mark.parametrize("miniature", MINIATURES, ids=lambda miniature: miniature.name)
def test_a_miniature_of_the_published_layout(tmp_path: Path, miniature: Miniature) -> None:
    make(tmp_path, miniature)
    opened = open_dataset(miniature.name, tmp_path, fetch=False)
    table = opened.table.set_index("id")
    assert set(table.index) == set(miniature.rows)
    for name, expected in miniature.rows.items():
        for column, value in expected.items():
            found = table.loc[name, column]
            assert pd.isna(found) if value is None else found == value, (name, column, found)
    assert {
        key: value
        for key, value in opened.facts.items()
        if key in ("missing", "unlisted", "other_images", "absent_files")
    } == miniature.facts
    for columns in opened.targets.values():
        assert set(columns) <= set(table)
    assert not catalog()[miniature.name].group or "group" in table
    for address in opened.addresses():
        assert Path(address).exists()
        if Path(address).suffix not in {".dcm", ".dicom"}:
            assert images.load(address)[0].shape[2] == 3


def test_every_set_has_a_miniature_or_is_real() -> None:
    real = {"ham10000", "isic2018", "chest-xray", "mini-mias", "hei-med", "cbis-ddsm", "cbis-ddsm-cropped"}
    drawn = {miniature.name for miniature in MINIATURES}
    assert {card.name for card in catalog().values() if card.layout != "medmnist"} == real | drawn
    assert not real & drawn


def test_personal_texts_are_not_kept(tmp_path: Path) -> None:
    by_name = {miniature.name: miniature for miniature in MINIATURES}
    for name, columns in {
        "padchest": {"Report"},
        "covid-cohen": {"clinical_notes"},
        "inbreast": {"Patient ID"},
    }.items():
        make(tmp_path, by_name[name])
        assert not columns & set(open_dataset(name, tmp_path).table)


CBIS = (
    "patient_id,breast_density,left or right breast,image view,abnormality id,abnormality type,mass shape,mass margins,"
    "assessment,pathology,subtlety,image file path,cropped image file path,ROI mask file path\n"
)
CASE = "Mass-Training_P_00001_LEFT_CC"


def cbis_row(number: int, pathology: str, case: str = CASE) -> str:
    patient, side, view = case.split("_", 1)[1].rsplit("_", 2)
    crop = f"{case}_{number}/1.3.6.1/1.3.6.{number}/00000{{}}.dcm"
    head = f"{patient},3,{side},{view},{number},mass,OVAL,ILL_DEFINED,4,{pathology},4"
    return f"{head},{case}/1.3.6.9/1.3.6.0/000000.dcm,{crop.format(0)},{crop.format(1)}\n"


def retrieved(root: Path) -> Path:
    """As the publisher's retriever lays it out: studies and series are named by what they show."""
    place = root / "CBIS-DDSM"
    rows = (
        cbis_row(1, "BENIGN")
        + cbis_row(2, "MALIGNANT")
        + cbis_row(1, "BENIGN_WITHOUT_CALLBACK", "Mass-Training_P_00004_RIGHT_MLO")
    )
    write(place / "mass_case_description_train_set.csv", CBIS + rows)
    write(
        place / "calc_case_description_test_set.csv",
        CBIS.replace("breast_density", "breast density") + cbis_row(1, "BENIGN", "Calc-Test_P_00038_LEFT_CC"),
    )
    day = "07-20-2016-DDSM-NA-30288"
    write(place / f"CBIS-DDSM/{CASE}/{day}/1.000000-full mammogram images-24515/1-1.dcm", "")
    for number in (1, 2):
        write(place / f"CBIS-DDSM/{CASE}_{number}/{day}/1.000000-ROI mask images-24515/1-2.dcm", "")
        write(place / f"CBIS-DDSM/{CASE}_{number}/{day}/1.000000-cropped images-24515/1-1.dcm", "")
    write(place / f"CBIS-DDSM/Calc-Test_P_00038_LEFT_CC/{day}/1.000000-full mammogram images-1/1-1.dcm", "")
    return place


def test_cbis_ddsm_full_mammograms(tmp_path: Path) -> None:
    retrieved(tmp_path)
    opened = open_dataset("cbis-ddsm", tmp_path)
    table = opened.table.set_index("id")
    assert list(table.index) == [CASE, "Mass-Training_P_00004_RIGHT_MLO", "Calc-Test_P_00038_LEFT_CC"]
    assert table["label"].tolist() == ["malignant", "benign", "benign"]
    assert table["pathology"].tolist() == ["MALIGNANT", "BENIGN_WITHOUT_CALLBACK", "BENIGN"]
    assert table["group"].tolist() == ["P_00001", "P_00004", "P_00038"]
    assert table["split"].tolist() == ["train", "train", "test"]
    assert table["laterality"].tolist() == ["left", "right", "left"]
    assert table["view"].tolist() == ["CC", "MLO", "CC"]
    assert table["breast density"].tolist() == [3, 3, 3]
    assert "full mammogram" in table.loc[CASE, "path"]
    assert opened.facts["missing"] == 1
    assert opened.facts["absent_files"] == ["mass_case_description_test_set.csv", "calc_case_description_train_set.csv"]


def test_cbis_ddsm_crops(tmp_path: Path) -> None:
    retrieved(tmp_path)
    table = open_dataset("cbis-ddsm-cropped", tmp_path).table.set_index("id")
    assert table.loc[[f"{CASE}_1", f"{CASE}_2"], "label"].tolist() == ["benign", "malignant"]
    for number in (1, 2):
        assert table.loc[f"{CASE}_{number}", "path"].endswith("cropped images-24515/1-1.dcm")


def test_cbis_ddsm_in_jpeg_by_its_series(tmp_path: Path) -> None:
    place = tmp_path / "cbis-ddsm-breast-cancer-image-dataset"
    write(place / "csv/mass_case_description_train_set.csv", CBIS + cbis_row(1, "MALIGNANT"))
    image(place / "jpeg/1.3.6.0/1-112.jpg")
    image(place / "jpeg/1.3.6.1/1-249.jpg")
    assert open_dataset("cbis-ddsm", tmp_path).table["path"].tolist() == ["jpeg/1.3.6.0/1-112.jpg"]
    assert open_dataset("cbis-ddsm-cropped", tmp_path).table["path"].tolist() == ["jpeg/1.3.6.1/1-249.jpg"]


def test_cbis_ddsm_that_is_not_right(tmp_path: Path) -> None:
    place = tmp_path / "CBIS-DDSM"
    write(place / "mass_case_description_train_set.csv", CBIS + cbis_row(1, "UNSURE"))
    with pytest.raises(EmbedkitError, match="line 2: the pathology 'UNSURE' is none"):
        open_dataset("cbis-ddsm", tmp_path)
    write(place / "mass_case_description_train_set.csv", CBIS + cbis_row(1, "BENIGN"))
    with pytest.raises(EmbedkitError, match="lists 1 images, and none of them"):
        open_dataset("cbis-ddsm", tmp_path)


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("aptos2019", "train.csv", "image,level\n1_left,2\n", "no column 'id_code'.*another release: EyePACS"),
        ("odir-5k", "data.csv", "ID,filename,labels\n1,a.jpg,['N']\n", "It looks like another release: one row per eye"),
        ("ham10000", "HAM10000_metadata.csv", "isic_id,diagnosis_1\nISIC_1,Benign\n", "another release: the metadata of the ISIC Archive"),
        ("ham10000", "HAM10000_metadata.csv", "patient_id,lesion_id,diagnostic,img_id\n1,2,NEV,a.png\n", "no column 'image_id'.*a table of pad-ufes-20"),
        ("vindr-cxr", "image_labels_train.csv", "image_id,class_name,class_id,rad_id,x_min\na,b,1,R1,3\n", "release: the boxes"),
        ("chexpert", "train.csv", f"Path,{CHEXPERT}\na.jpg,{'2,' * 13}2\n", "line 2: '2' in 'No Finding' is not 0 or 1"),
        ("inbreast", "INbreast.csv", "Laterality;View;File Name;ACR;Bi-Rads\nR;CC;a;4;9\n", "line 2: '9' in 'Bi-Rads' is none of"),
        ("hei-med", "labels.csv", "file,image_id,exudate,microaneurysm,has_gnd\n../a.jpg,1,0,0,1\n", "line 2: '../a.jpg' is outside"),
        ("aptos2019", "train.csv", "id_code,diagnosis\na,1\na,2\n", "lists 'a' twice"),
        ("aptos2019", "train.csv", "id_code,diagnosis\n,1\n", "line 2: no image is named"),
    ],
)  # fmt: skip
def test_files_that_are_not_right(tmp_path: Path, name: str, file: str, text: str, message: str) -> None:
    place = tmp_path / name
    write(place / file, text)
    image(place / "a.jpg")
    with pytest.raises(EmbedkitError, match=message):
        open_dataset(name, tmp_path)


def nih_place(root: Path, listed: str, labels: str = "Hernia") -> None:
    place = root / "nih-chestxray14"
    write(place / "Data_Entry_2017.csv", NIH.format("Sex") + f"1_0.png,{labels},0,1,58,M,PA,2,2,0.1,0.1,\n")
    write(place / "train_val_list.txt", listed)
    write(place / "test_list.txt", "2_0.png\n")
    image(place / "images/1_0.png")


def test_a_split_file_that_names_images_which_are_not_there(tmp_path: Path) -> None:
    nih_place(tmp_path, "1_0.png\n3_0.png\n")
    assert open_dataset("nih-chestxray14", tmp_path).facts["in_split_lists_only"] == 2


@pytest.mark.parametrize(
    ("listed", "labels", "message"),
    [
        ("3_0.png\n", "Hernia", "none of the 2 images that train_val_list.txt, test_list.txt list is in the set"),
        ("1_0.png\n2_0.png\n", "Hernia", "lists '2_0.png', which is in train too"),
        ("1_0.png\n", "Hernia|Broken leg", "line 2: 'Broken leg' in 'Finding Labels' is no label of the set"),
    ],
)
def test_a_split_or_a_label_that_can_not_be(tmp_path: Path, listed: str, labels: str, message: str) -> None:
    nih_place(tmp_path, listed, labels)
    with pytest.raises(EmbedkitError, match=message):
        open_dataset("nih-chestxray14", tmp_path)


def test_a_file_that_must_be_joined_is_asked_for(tmp_path: Path) -> None:
    by_name = {miniature.name: miniature for miniature in MINIATURES}
    make(tmp_path, by_name["mimic-cxr-jpg"])
    place = tmp_path / "mimic-cxr-jpg/2.1.0"
    (place / "mimic-cxr-2.0.0-split.csv.gz").write_bytes(gzip.compress(b"dicom_id,split\n02aa,train\n02aa,test\n"))
    with pytest.raises(EmbedkitError, match="line 3: another row has the same dicom_id"):
        open_dataset("mimic-cxr-jpg", tmp_path)
    (place / "mimic-cxr-2.0.0-split.csv.gz").write_bytes(gzip.compress(b"dicom_id,split\n02aa,train\n")[:-9])
    with pytest.raises(EmbedkitError, match="is a damaged gzip file"):
        open_dataset("mimic-cxr-jpg", tmp_path)
    (place / "mimic-cxr-2.0.0-split.csv.gz").unlink()
    with pytest.raises(EmbedkitError, match=r"lacks mimic-cxr-2.0.0-split.csv.gz or .* which the set needs"):
        open_dataset("mimic-cxr-jpg", tmp_path)
